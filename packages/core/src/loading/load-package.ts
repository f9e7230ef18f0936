import type { Logger, NetworkPlugin } from '@podwire/api'
import type { PluginPackage } from '../discovery/manifest.ts'
import { pluginBadExport, pluginImportFailed, pluginProbeFailed } from '../errors.ts'
import { withDeadline } from '../routing/deadline.ts'
import { parseOptions } from './options.ts'
import { packageEntry } from './package-entry.ts'
import { asNetworkPlugins, asPluginModule } from './shape.ts'

/** What a package is loaded with. */
export interface LoadContext {
  /** The configuration's `plugins[KEY]`. */
  readonly options: unknown
  readonly configDir: string | undefined
  readonly stateDir: string
  readonly log: Logger
  /** For the import, and again for the probe. Milliseconds. */
  readonly deadlineMs: number
}

/**
 * Imports a plugin package and asks it for its plugins.
 * @throws PodwireError `PLUGIN_IMPORT_FAILED`, `PLUGIN_BAD_EXPORT`, `PLUGIN_OPTIONS_INVALID`, `PLUGIN_PROBE_FAILED`
 */
export async function loadPluginPackage(
  found: PluginPackage,
  context: LoadContext,
): Promise<NetworkPlugin[]> {
  const { packageName, version, dir, key, plugins: stated } = found
  const from = { packageName, version, dir }
  const { options: given, deadlineMs, ...rest } = context

  const exports = await withDeadline(
    'its import',
    deadlineMs,
    async () => import(await packageEntry(dir)),
  ).catch((cause: unknown) => {
    throw pluginImportFailed({ from, cause })
  })
  const module = asPluginModule(exports)
  if (typeof module === 'string') throw pluginBadExport({ from, problem: module })

  const options = await parseOptions(key, module.options, given)
  const returned = await withDeadline('its probe', deadlineMs, () =>
    module.probe({ ...rest, options }),
  ).catch((cause: unknown) => {
    throw pluginProbeFailed({ from, cause })
  })
  const plugins = asNetworkPlugins(returned)
  if (typeof plugins === 'string') throw pluginBadExport({ from, problem: plugins })

  const unstated = stated === 'dynamic' ? [] : plugins.filter(({ name }) => !stated.includes(name))
  if (stated === 'dynamic' || unstated.length === 0) return plugins
  const problem = `its probe offers "${unstated.map(({ name }) => name).join('", "')}" and its manifest only "${stated.join('", "')}"`
  throw pluginBadExport({ from, problem })
}
