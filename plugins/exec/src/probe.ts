import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  capabilitySet,
  messageOf,
  type NetworkPlugin,
  type ProbeContext,
  unescapePluginName,
} from '@podwire/api'
import { execNetworkPlugin } from './exec-network-plugin.ts'
import type { ExecOptions } from './options.ts'

/** One plugin for each directory: `vendor~name` holds `vendor/name`, whose executable is `vendor~name/name`. */
export async function probeExecPlugins({
  options,
  configDir = '.',
  log,
}: ProbeContext<ExecOptions>): Promise<NetworkPlugin[]> {
  const directory = resolve(configDir, options.directory)
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    log.warn(`no exec plugins: ${messageOf(error)}`, { directory })
    return []
  })
  const capabilities = capabilitySet(...options.capabilities)
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .map((directoryName) => {
      const name = unescapePluginName(directoryName)
      const executable = join(directory, directoryName, name.split('/').at(-1) ?? name)
      return execNetworkPlugin({ name, executable, capabilities, log })
    })
}
