/** What a configuration says as `networkPlugin`. */
export const name = '{{pluginName}}'
