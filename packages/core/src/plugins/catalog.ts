import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger, NetworkPlugin, PluginModule } from '@podwire/api'
import type { LoadedConfig } from '../config/load.ts'
import type { Installation } from './candidates.ts'
import { choosePackages } from './choose-packages.ts'
import { type Discovery, discoverPlugins } from './discover.ts'
import { importPluginPackage, loadPluginPackage } from './load-package.ts'
import type { PluginPackage } from './manifest.ts'

/** Plugins, and the package that each came from. */
export interface LoadedPlugins {
  readonly plugins: readonly NetworkPlugin[]
  readonly packageOf: ReadonlyMap<NetworkPlugin, PluginPackage>
}

/** The plugin packages that a configuration reaches, loaded when one is needed. */
export interface PluginCatalog {
  readonly discovery: Discovery
  /** Imports what may offer the plugin `name`, and returns all that it offers. */
  load(name: string): Promise<LoadedPlugins>
  /** Imports the packages that a start with this configuration would, without asking them for plugins. */
  modules(name: string): Promise<{ found: PluginPackage; module: PluginModule<unknown> }[]>
  /** Loads one package with options of its own: those that a sandbox's record keeps. */
  loadPackage(found: PluginPackage, options: unknown, configDir: string | undefined): Promise<LoadedPlugins>
  /** The names of the plugins that manifests state. */
  names(): string[]
  /** The names of the plugins whose manifests state all these capabilities. */
  capable(capabilities: number): string[]
}

/** What a catalog is made from. */
export interface CatalogOptions {
  readonly configuration: LoadedConfig
  readonly installation?: Installation | undefined
  readonly log: Logger
}

/** Searches from the configuration's directory; runs nothing of what it finds. */
export async function createPluginCatalog(options: CatalogOptions): Promise<PluginCatalog> {
  const { configuration, installation, log } = options
  const { config, dir, file, searchFrom, trust } = configuration
  const discovery = await discoverPlugins({ from: searchFrom, ...config.discovery, installation })
  const included = new Set(installation?.included.map((path) => realpathSync(path)))
  const configDir = file === undefined ? undefined : dir
  const stated = discovery.packages.filter(({ plugins }) => plugins !== 'dynamic')

  const contextOf = (found: PluginPackage) => ({
    stateDir: join(config.stateDir, 'plugins', found.key.replaceAll('/', '~')),
    log,
    deadlineMs: config.deadlines.init,
    trust: included.has(found.dir) ? ('included' as const) : trust,
  })
  const loadPackage: PluginCatalog['loadPackage'] = async (found, given, itsConfigDir) => {
    const context = { ...contextOf(found), options: given, configDir: itsConfigDir }
    const plugins = await loadPluginPackage(found, context)
    return { plugins, packageOf: new Map(plugins.map((plugin) => [plugin, found])) }
  }

  return {
    discovery,
    loadPackage,
    load: async (name) => {
      const loaded = await Promise.all(
        choosePackages(discovery, name).map((found) =>
          loadPackage(found, config.plugins[found.key], configDir),
        ),
      )
      return {
        plugins: loaded.flatMap(({ plugins }) => plugins),
        packageOf: new Map(loaded.flatMap(({ packageOf }) => [...packageOf])),
      }
    },
    modules: (name) =>
      Promise.all(
        choosePackages(discovery, name).map(async (found) => ({
          found,
          module: await importPluginPackage(found, contextOf(found)),
        })),
      ),
    names: () => stated.flatMap(({ plugins }) => plugins),
    capable: (wanted) =>
      stated
        .filter(({ capabilities = 0 }) => (capabilities & wanted) === wanted)
        .flatMap(({ plugins }) => plugins),
  }
}
