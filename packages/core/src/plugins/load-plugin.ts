import type { PluginModule } from '@podwire/api'
import { importPluginPackage } from './load-package.ts'
import { readPluginPackage } from './manifest.ts'

const deadlineMs = 30_000

/**
 * Imports the plugin package in `dir` as a host does, and asks it for nothing: for those who test it. Who names a
 * directory trusts it.
 * @throws Error where the manifest is refused; PodwireError `PLUGIN_IMPORT_FAILED`, `PLUGIN_BAD_EXPORT`
 */
export async function loadPlugin(dir: string): Promise<PluginModule<unknown>> {
  const found = await readPluginPackage(dir)
  if (typeof found === 'string') throw new Error(`${dir}: ${found}`)
  return importPluginPackage(found, { deadlineMs, trust: 'included' })
}
