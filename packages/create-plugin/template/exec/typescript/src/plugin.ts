import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { NetworkPlugin, ProbeContext } from '@podwire/api'
import { execNetworkPlugin } from '@podwire/plugin-exec'
import { name } from './name.ts'
import type { Options } from './options.ts'

// As the kubelet has it: a directory named after the plugin, "~" for "/", and in it the executable by the last part.
const included = fileURLToPath(new URL('../exec/{{directoryName}}/{{shortName}}', import.meta.url))

/** Gives each pod what an executable sets up, called as the kubelet called its exec plugins. */
export function networkPlugin({ options, configDir = '.', log }: ProbeContext<Options>): NetworkPlugin {
  const executable = options.executable === undefined ? included : resolve(configDir, options.executable)
  return execNetworkPlugin({ name, executable, capabilities: 0, log })
}
