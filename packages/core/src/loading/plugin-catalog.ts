import { join } from 'node:path'
import type { Logger, NetworkPlugin } from '@podwire/api'
import type { LoadedConfig } from '../config/load.ts'
import { type Discovery, discoverPlugins } from '../discovery/discover.ts'
import type { PluginPackage } from '../discovery/manifest.ts'
import { pluginNotFound } from '../errors.ts'
import { choosePackages } from './choose-packages.ts'
import { loadPluginPackage } from './load-package.ts'

/** The plugin packages that a configuration reaches, loaded when one is needed. */
export interface PluginCatalog {
  readonly discovery: Discovery
  /** Imports what may offer the plugin `name`, and returns all that it offers, with the package of each. */
  load(
    name: string,
  ): Promise<{ plugins: NetworkPlugin[]; packageOf: ReadonlyMap<NetworkPlugin, PluginPackage> }>
  /** The names of the plugins whose manifests state all these capabilities. */
  capable(capabilities: number): string[]
}

/** Searches from the configuration's directory; runs nothing of what it finds. */
export async function createPluginCatalog(
  { config, dir, file }: LoadedConfig,
  log: Logger,
): Promise<PluginCatalog> {
  const discovery = await discoverPlugins({ from: dir, ...config.discovery })

  const loadOne = (found: PluginPackage) =>
    loadPluginPackage(found, {
      options: config.plugins[found.key],
      configDir: file === undefined ? undefined : dir,
      stateDir: join(config.stateDir, 'plugins', found.key.replaceAll('/', '~')),
      log,
      deadlineMs: config.deadlines.init,
    })

  return {
    discovery,
    load: async (name) => {
      const chosen = choosePackages(discovery, name)
      const loaded = await Promise.all(
        chosen.map(async (found) => ({ found, plugins: await loadOne(found) })),
      )
      const packageOf = new Map(
        loaded.flatMap(({ found, plugins }) => plugins.map((plugin) => [plugin, found])),
      )
      const plugins = [...packageOf.keys()]
      if (!plugins.some((plugin) => plugin.name === name)) {
        throw pluginNotFound({
          name,
          available: [...statedNames(discovery), ...plugins.map((plugin) => plugin.name)],
        })
      }
      return { plugins, packageOf }
    },
    capable: (capabilities) =>
      discovery.packages
        .filter(
          (found) => found.capabilities !== undefined && (found.capabilities & capabilities) === capabilities,
        )
        .flatMap(({ plugins }) => (plugins === 'dynamic' ? [] : plugins)),
  }
}

function statedNames({ packages }: Discovery): string[] {
  return packages.flatMap(({ plugins }) => (plugins === 'dynamic' ? [] : plugins))
}
