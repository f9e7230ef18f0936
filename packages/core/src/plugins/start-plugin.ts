import {
  describeCapabilities,
  type InitOptions,
  type Logger,
  messageOf,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
} from '@podwire/api'
import type { Config, Deadlines } from '../config/parse.ts'
import type { HostEmitter } from '../events.ts'
import { type LoadedPlugins, type PluginCatalog, processesOf } from './catalog.ts'
import { initNetworkPlugin } from './init-network-plugin.ts'
import type { IsolatedPackage } from './isolated/isolated-package.ts'
import type { CrashListener } from './isolated/supervisor.ts'
import { type PluginPackage, readPluginPackage } from './manifest.ts'
import { createPluginHost, type SandboxLookUp } from './plugin-host.ts'
import { createPluginManager, type PluginManager } from './plugin-manager.ts'

/** How a plugin was started: all that a later process needs to start it so again, whatever the configuration says then. */
export interface PluginStart extends Omit<InitOptions, 'resident'> {
  readonly name: string
  /** The directory of its package. */
  readonly packageDir: string
  readonly podCIDR: string
  /** The configuration's `plugins[KEY]`, unchecked. */
  readonly options?: unknown
  readonly configDir?: string
}

/** A plugin that was initialised, and where it came from. */
export interface ActivePlugin {
  readonly from: PluginPackage
  readonly start: PluginStart
  /** The names of what it can do now. */
  capabilities(): string[]
}

/** One that runs in this process, or is called from it. */
export interface RunningPlugin extends ActivePlugin {
  readonly manager: PluginManager
  /** Starts it again where it crashed so often that it stays down; returns whether it did. */
  reset(): Promise<boolean>
}

/** What plugins are started with. */
export interface StartContext {
  readonly catalog: PluginCatalog
  readonly deadlines: Deadlines
  readonly sandboxes: SandboxLookUp
  /** Whether the host stays. */
  readonly resident: boolean
  readonly events: HostEmitter
  readonly log: Logger
}

/** Loads and initialises the plugin that the configuration names, and tells it the pod CIDR. */
export async function startConfigured(
  context: StartContext,
  config: Config,
  configDir: string | undefined,
): Promise<RunningPlugin> {
  const { networkPlugin: name, hairpinMode, nonMasqueradeCIDR, mtu, podCIDR, plugins } = config
  return start(
    context,
    { name, hairpinMode, nonMasqueradeCIDR, mtu, podCIDR },
    () => context.catalog.load(name),
    ({ dir, key }) => ({
      packageDir: dir,
      ...(plugins[key] === undefined ? {} : { options: plugins[key] }),
      ...(configDir === undefined ? {} : { configDir }),
    }),
  )
}

/** Starts a plugin as it was when it set a pod up: from the pod's record alone. */
export async function startRecorded(context: StartContext, recorded: PluginStart): Promise<RunningPlugin> {
  return start(
    context,
    recorded,
    async () => {
      const found = await readPluginPackage(recorded.packageDir)
      if (typeof found === 'string') throw new Error(`${recorded.packageDir}: ${found}`)
      return context.catalog.loadPackage(found, recorded.options, recorded.configDir)
    },
    () => recorded,
  )
}

async function start(
  context: StartContext,
  settings: Omit<PluginStart, 'packageDir'>,
  load: () => Promise<LoadedPlugins>,
  describe: (from: PluginPackage) => Pick<PluginStart, 'packageDir' | 'options' | 'configDir'>,
): Promise<RunningPlugin> {
  const { catalog, deadlines, sandboxes, resident, events } = context
  const started = performance.now()
  const { name, podCIDR } = settings
  let processes: readonly IsolatedPackage[] = []
  try {
    const loaded = await load()
    const { plugins, packageOf, isolated } = loaded
    processes = processesOf(loaded)
    const host = createPluginHost(name, sandboxes, events)
    const options = resident ? settings : { ...settings, resident }
    const plugin = await initNetworkPlugin(plugins, name, host, options, {
      deadlineMs: deadlines.init,
      available: catalog.names(),
    })
    const manager = createPluginManager(plugin, deadlines)
    if (podCIDR) {
      const details = { [NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]: podCIDR }
      await manager.event(NET_PLUGIN_EVENT_POD_CIDR_CHANGE, details)
    }
    // A plugin is one of several where only the probes of packages could tell.
    const own = isolated.get(plugin)
    for (const one of processes) if (one !== own) await one.end()
    own?.supervise(plugin, crashListener(name, context))
    events.emit('plugin:ready', { plugin: name, durationMs: performance.now() - started })
    // The chosen plugin is one of those that were loaded.
    const from = packageOf.get(plugin) as PluginPackage
    return {
      manager,
      from,
      start: { ...settings, ...describe(from) },
      capabilities: () => describeCapabilities(manager.capabilities()),
      reset: async () => own?.reset() ?? false,
    }
  } catch (error) {
    await Promise.allSettled(processes.map((one) => one.end()))
    events.emit('plugin:failed', { plugin: name, error })
    throw error
  }
}

function crashListener(plugin: string, { events, log }: StartContext): CrashListener {
  return {
    crashed(error, crashes) {
      log.warn(messageOf(error), { plugin, crashes })
      events.emit('plugin:crashed', { plugin, error, crashes })
    },
    restarted(durationMs) {
      log.info(`network plugin "${plugin}" runs again`, { plugin, durationMs })
      events.emit('plugin:restarted', { plugin, durationMs })
    },
    quarantined(error) {
      log.error(messageOf(error), { plugin })
      events.emit('plugin:quarantined', { plugin, error })
    },
  }
}
