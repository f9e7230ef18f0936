import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execNetworkPlugin } from '@podwire/plugin-exec'
import { name } from './name.js'

// As the kubelet has it: a directory named after the plugin, "~" for "/", and in it the executable by the last part.
const included = fileURLToPath(new URL('../exec/{{directoryName}}/{{shortName}}', import.meta.url))

/**
 * Gives each pod what an executable sets up, called as the kubelet called its exec plugins.
 *
 * @param {import('@podwire/api').ProbeContext<import('./options.js').Options>} context
 */
export function networkPlugin({ options, configDir = '.', log }) {
  const executable = options.executable === undefined ? included : resolve(configDir, options.executable)
  return execNetworkPlugin({ name, executable, capabilities: 0, log })
}
