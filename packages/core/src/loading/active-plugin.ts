import {
  DEFAULT_PLUGIN_NAME,
  describeCapabilities,
  type Logger,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
} from '@podwire/api'
import type { Config } from '../config/parse.ts'
import type { PluginPackage } from '../discovery/manifest.ts'
import type { HostEmitter } from '../events.ts'
import { createPluginHost } from '../plugin-host.ts'
import { initNetworkPlugin } from '../routing/init-network-plugin.ts'
import { createPluginManager, type PluginManager } from '../routing/plugin-manager.ts'
import type { SandboxStore } from '../state/sandbox-store.ts'
import type { PluginCatalog } from './plugin-catalog.ts'

/** A plugin that was initialised, and where it came from. */
export interface ActivePlugin {
  readonly manager: PluginManager
  /** Undefined for the no-op default, which is part of the core. */
  readonly from: PluginPackage | undefined
  /** The names of what it can do now. */
  capabilities(): string[]
}

/** Loads and initialises the plugin called `name`, empty for the no-op, and tells it the pod CIDR. */
export async function startPlugin({
  name,
  catalog,
  config,
  store,
  events,
  log,
}: {
  name: string
  catalog: PluginCatalog
  config: Config
  store: SandboxStore
  events: HostEmitter
  log: Logger
}): Promise<ActivePlugin> {
  const started = performance.now()
  try {
    const { plugins, packageOf } =
      name === '' ? { plugins: [], packageOf: undefined } : await catalog.load(name)
    const host = createPluginHost(name || DEFAULT_PLUGIN_NAME, store, events)
    const plugin = await initNetworkPlugin(plugins, name, host, config, {
      deadlineMs: config.deadlines.init,
      log,
    })
    const manager = createPluginManager(plugin, config.deadlines)
    if (config.podCIDR) {
      const details = { [NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]: config.podCIDR }
      await manager.event(NET_PLUGIN_EVENT_POD_CIDR_CHANGE, details)
    }
    events.emit('plugin:ready', { plugin: plugin.name, durationMs: performance.now() - started })
    return {
      manager,
      from: packageOf?.get(plugin),
      capabilities: () => describeCapabilities(manager.capabilities()),
    }
  } catch (error) {
    events.emit('plugin:failed', { plugin: name, error })
    throw error
  }
}
