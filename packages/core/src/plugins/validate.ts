import type { Config } from '../config/parse.ts'
import { type ConfigProblem, errors } from '../errors.ts'
import { nearest } from '../nearest.ts'
import type { PluginCatalog } from './catalog.ts'
import { choosePackages } from './choose-packages.ts'
import { parseOptions } from './plugin-options.ts'

/**
 * Checks all of a configuration that a start would, and starts nothing: that the plugin is there, that its options are
 * right, and that every key under `plugins` is some package's.
 * @throws PodwireError `CONFIG_INVALID`, `PLUGIN_NOT_FOUND`, `PLUGIN_OPTIONS_INVALID`, those of importing a package
 */
export async function validateConfiguration(
  { config, file }: { readonly config: Config; readonly file: string | undefined },
  catalog: PluginCatalog,
): Promise<void> {
  const keys = catalog.discovery.packages.map(({ key }) => key)
  const problems = Object.keys(config.plugins)
    .filter((key) => !keys.includes(key))
    .map((key) => unknownKey(key, keys))
  if (problems.length > 0) throw errors.CONFIG_INVALID({ file, problems })
  const name = config.networkPlugin
  if (choosePackages(catalog.discovery, name).length === 0) {
    throw errors.PLUGIN_NOT_FOUND({ name, available: catalog.names() })
  }
  const imported = await catalog.modules(name)
  for (const { found, module } of imported) {
    await parseOptions(found.key, module.options, config.plugins[found.key])
  }
  const isDynamic = imported.every(({ found }) => found.plugins === 'dynamic')
  if (!isDynamic) return
  const { plugins } = await catalog.load(name)
  if (plugins.some((plugin) => plugin.name === name)) return
  const available = [...catalog.names(), ...plugins.map((plugin) => plugin.name)]
  throw errors.PLUGIN_NOT_FOUND({ name, available })
}

function unknownKey(key: string, keys: readonly string[]): ConfigProblem {
  const guess = nearest(key, keys)
  const installed = `There is: ${keys.join(', ') || 'none'}`
  return {
    path: `plugins.${key}`,
    message: `no plugin package of this name is installed${guess ? `; did you mean "${guess}"?` : '.'} ${installed}`,
  }
}
