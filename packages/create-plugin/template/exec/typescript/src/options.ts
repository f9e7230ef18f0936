import * as z from 'zod/mini'

/** What a configuration may say under `plugins['{{pluginName}}']`. */
export const options = z.strictObject({
  /** Another executable than that of this package; relative to the configuration file. */
  executable: z.optional(z.string().check(z.minLength(1))),
})

export type Options = z.output<typeof options>
