import type { Config } from '../config/parse.ts'
import { type ConfigProblem, errors } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { type PluginCatalog, processesOf } from './catalog.ts'
import { choosePackages } from './choose-packages.ts'

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
  const isolation = typeof config.isolation === 'object' ? config.isolation : {}
  const problems = Object.entries({ plugins: config.plugins, isolation }).flatMap(([path, stated]) =>
    Object.keys(stated)
      .filter((key) => !keys.includes(key))
      .map((key) => unknownKey(`${path}.${key}`, key, keys)),
  )
  if (problems.length > 0) throw errors.CONFIG_INVALID({ file, problems })
  const name = config.networkPlugin
  if (choosePackages(catalog.discovery, name).length === 0) {
    throw errors.PLUGIN_NOT_FOUND({ name, available: catalog.names() })
  }
  const checked = await catalog.checkOptions(name)
  const isDynamic = checked.every(({ plugins }) => plugins === 'dynamic')
  if (!isDynamic) return
  const loaded = await catalog.load(name)
  await Promise.all(processesOf(loaded).map((one) => one.end()))
  const { plugins } = loaded
  if (plugins.some((plugin) => plugin.name === name)) return
  const available = [...catalog.names(), ...plugins.map((plugin) => plugin.name)]
  throw errors.PLUGIN_NOT_FOUND({ name, available })
}

function unknownKey(path: string, key: string, keys: readonly string[]): ConfigProblem {
  const guess = nearest(key, keys)
  const installed = `There is: ${keys.join(', ') || 'none'}`
  return {
    path,
    message: `no plugin package of this name is installed${guess ? `; did you mean "${guess}"?` : '.'} ${installed}`,
  }
}
