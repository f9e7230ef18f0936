import type { PluginModule } from '@podwire/api'
import { importPluginPackage } from './load-package.ts'
import { readPluginPackage } from './manifest.ts'

const trusted = { deadlineMs: 30_000, trust: 'included' } as const

/**
 * Imports the plugin package in `dir` as a host does, and asks it for nothing: for those who test it. Who names a
 * directory trusts it. In isolation its plugins run in processes of their own.
 * @throws Error where the manifest is refused; PodwireError `PLUGIN_IMPORT_FAILED`, `PLUGIN_BAD_EXPORT`
 */
export async function loadPlugin(
  dir: string,
  { isolation = 'none' }: { readonly isolation?: 'none' | 'process' } = {},
): Promise<PluginModule<unknown>> {
  const found = await readPluginPackage(dir)
  if (typeof found === 'string') throw new Error(`${dir}: ${found}`)
  if (isolation === 'none') return importPluginPackage(found, trusted)
  const { isolatedModule } = await import('./isolated/isolated-module.ts')
  return isolatedModule(found, trusted)
}
