import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger, NetworkPlugin, PluginModule } from '@podwire/api'
import { type IsolationMode, isIsolated } from '../config/isolation.ts'
import type { LoadedConfig } from '../config/load.ts'
import type { Installation } from './candidates.ts'
import { choosePackages } from './choose-packages.ts'
import { type Discovery, discoverPlugins } from './discover.ts'
import type { IsolatedPackage } from './isolated/isolated-package.ts'
import { checkPluginPackage, importPluginPackage, loadPluginPackage } from './load-package.ts'
import type { PluginPackage } from './manifest.ts'

/** Plugins, and the package that each came from. */
export interface LoadedPlugins {
  readonly plugins: readonly NetworkPlugin[]
  readonly packageOf: ReadonlyMap<NetworkPlugin, PluginPackage>
  /** The process of each plugin that runs in one of its own. */
  readonly isolated: ReadonlyMap<NetworkPlugin, IsolatedPackage>
}

/** The plugin packages that a configuration reaches, loaded when one is needed. */
export interface PluginCatalog {
  readonly discovery: Discovery
  /** Imports what may offer the plugin `name`, and returns all that it offers. */
  load(name: string): Promise<LoadedPlugins>
  /**
   * Has the packages that a start with this configuration would import look at their options, and starts nothing. Returns
   * those packages.
   * @throws PodwireError `PLUGIN_OPTIONS_INVALID`, those of importing a package
   */
  checkOptions(name: string): Promise<PluginPackage[]>
  /** Imports the packages that a start with this configuration would, without asking them for plugins; all into this process. */
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
  /** What holds where the configuration doesn't say. Default: none. */
  readonly defaultIsolation?: IsolationMode | undefined
}

/** Searches from the configuration's directory; runs nothing of what it finds. */
export async function createPluginCatalog(options: CatalogOptions): Promise<PluginCatalog> {
  const { configuration, installation, log, defaultIsolation = 'none' } = options
  const { config, dir, file, searchFrom, trust } = configuration
  const discovery = await discoverPlugins({ from: searchFrom, ...config.discovery, installation })
  const included = new Set(installation?.included.map((path) => realpathSync(path)))
  const configDir = file === undefined ? undefined : dir
  const stated = discovery.packages.filter(({ plugins }) => plugins !== 'dynamic')

  const runsApart = (found: PluginPackage) => isIsolated(found, config.isolation, defaultIsolation)
  const contextOf = (found: PluginPackage) => ({
    stateDir: join(config.stateDir, 'plugins', found.key.replaceAll('/', '~')),
    log,
    deadlineMs: config.deadlines.init,
    deadlines: config.deadlines,
    trust: included.has(found.dir) ? ('included' as const) : trust,
  })
  const loadPackage: PluginCatalog['loadPackage'] = async (found, given, itsConfigDir) => {
    const context = { ...contextOf(found), options: given, configDir: itsConfigDir }
    const isolated = runsApart(found)
      ? await (await isolatedPackages()).loadIsolated(found, context)
      : undefined
    const plugins = isolated?.plugins ?? (await loadPluginPackage(found, context))
    return {
      plugins,
      packageOf: new Map(plugins.map((plugin) => [plugin, found])),
      isolated: new Map(isolated ? plugins.map((plugin) => [plugin, isolated]) : []),
    }
  }

  return {
    discovery,
    loadPackage,
    load: async (name) => {
      const loads = await Promise.allSettled(
        choosePackages(discovery, name).map((found) =>
          loadPackage(found, config.plugins[found.key], configDir),
        ),
      )
      const loaded = loads.flatMap((load) => (load.status === 'fulfilled' ? [load.value] : []))
      const failed = loads.find((load) => load.status === 'rejected')
      if (failed) {
        await Promise.allSettled(loaded.flatMap(processesOf).map((one) => one.end()))
        throw failed.reason
      }
      return {
        plugins: loaded.flatMap(({ plugins }) => plugins),
        packageOf: new Map(loaded.flatMap(({ packageOf }) => [...packageOf])),
        isolated: new Map(loaded.flatMap(({ isolated }) => [...isolated])),
      }
    },
    checkOptions: async (name) => {
      const packages = choosePackages(discovery, name)
      for (const found of packages) {
        const context = { ...contextOf(found), options: config.plugins[found.key], configDir }
        if (runsApart(found)) await (await isolatedPackages()).checkIsolated(found, context)
        else await checkPluginPackage(found, context)
      }
      return packages
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

/** The processes that plugins run in, where they have some of their own. */
export function processesOf({ isolated }: LoadedPlugins): IsolatedPackage[] {
  return [...new Set(isolated.values())]
}

// Most hosts have no use for it.
const isolatedPackages = () => import('./isolated/isolated-package.ts')
