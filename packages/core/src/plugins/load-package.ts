import type { Logger, NetworkPlugin, PluginModule } from '@podwire/api'
import { assertTrusted } from '../config/trust.ts'
import { runOperation } from '../current-operation.ts'
import { withDeadline } from '../deadline.ts'
import { errors } from '../errors.ts'
import type { PluginPackage } from './manifest.ts'
import { packageEntry } from './package-entry.ts'
import { parseOptions } from './plugin-options.ts'
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
  /** Directories to trust; `included`: it came with the program that runs the host. */
  readonly trust: readonly string[] | 'included'
}

/**
 * Imports a plugin package.
 * @throws PodwireError `UNTRUSTED`, `PLUGIN_IMPORT_FAILED`, `PLUGIN_BAD_EXPORT`
 */
export async function importPluginPackage(
  found: PluginPackage,
  { deadlineMs, trust }: Pick<LoadContext, 'deadlineMs' | 'trust'>,
): Promise<PluginModule<unknown>> {
  const { packageName, version, dir, entry } = found
  const from = { packageName, version, dir }
  assertPackageTrusted(found, trust)
  const exports = await runOperation({ plugin: packageName, operation: 'import' }, () =>
    withDeadline('its import', deadlineMs, () => importModule(packageEntry(dir, entry))),
  ).catch((cause: unknown) => {
    throw errors.PLUGIN_IMPORT_FAILED(from, cause)
  })
  const module = asPluginModule(exports)
  if (typeof module === 'string') throw errors.PLUGIN_BAD_EXPORT({ ...from, problem: module })
  return module
}

/**
 * Checks that nobody but root could have written the code that is to run as root.
 * @throws PodwireError `UNTRUSTED`
 */
export function assertPackageTrusted({ packageName, dir }: PluginPackage, trust: LoadContext['trust']): void {
  if (trust !== 'included') assertTrusted(dir, `the code of plugin package ${packageName}`, trust)
}

/**
 * Imports a plugin package and has it look at its options, and nothing else.
 * @throws PodwireError those of the import, `PLUGIN_OPTIONS_INVALID`
 */
export async function checkPluginPackage(found: PluginPackage, context: LoadContext): Promise<void> {
  const { options } = await importPluginPackage(found, context)
  await parseOptions(found.key, options, context.options)
}

/**
 * Imports a plugin package and asks it for its plugins.
 * @throws PodwireError those of the import, `PLUGIN_OPTIONS_INVALID`, `PLUGIN_PROBE_FAILED`
 */
export async function loadPluginPackage(
  found: PluginPackage,
  context: LoadContext,
): Promise<NetworkPlugin[]> {
  const { packageName, version, dir, key, plugins: stated } = found
  const from = { packageName, version, dir }
  const { options: given, deadlineMs, trust, ...rest } = context
  const module = await importPluginPackage(found, { deadlineMs, trust })
  const options = await parseOptions(key, module.options, given)
  const returned = await runOperation({ plugin: packageName, operation: 'probe' }, () =>
    withDeadline('its probe', deadlineMs, () => module.probe({ ...rest, options })),
  ).catch((cause: unknown) => {
    throw errors.PLUGIN_PROBE_FAILED(from, cause)
  })
  const plugins = asNetworkPlugins(returned)
  if (typeof plugins === 'string') throw errors.PLUGIN_BAD_EXPORT({ ...from, problem: plugins })
  const unstated = stated === 'dynamic' ? [] : plugins.filter(({ name }) => !stated.includes(name))
  if (stated === 'dynamic' || unstated.length === 0) return plugins
  const problem = `its probe offers "${unstated.map(({ name }) => name).join('", "')}" and its manifest only "${stated.join('", "')}"`
  throw errors.PLUGIN_BAD_EXPORT({ ...from, problem })
}

// Where this package runs from its source, whatever reads that reads the plugin's too.
const readsTypeScript = import.meta.url.endsWith('.ts')

async function importModule(url: string): Promise<unknown> {
  if (readsTypeScript || !/\.[mc]?ts$/.test(url)) return import(url)
  const { tsImport } = await import('tsx/esm/api')
  return tsImport(url, import.meta.url)
}
