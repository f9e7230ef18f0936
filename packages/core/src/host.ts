import { resolve } from 'node:path'
import {
  DEFAULT_PLUGIN_NAME,
  type EventDetails,
  type Logger,
  messageOf,
  missingCapabilities,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
} from '@podwire/api'
import { type LoadedConfig, loadConfig } from './config/load.ts'
import { parseConfig } from './config/parse.ts'
import type { PodwireConfig } from './config/schema.ts'
import { missingCapability, unknownPod } from './errors.ts'
import { createHostEmitter, type HostEmitter } from './events.ts'
import { type ActivePlugin, startPlugin } from './loading/active-plugin.ts'
import { createPluginCatalog, type PluginCatalog } from './loading/plugin-catalog.ts'
import { silentLogger } from './log.ts'
import { neededCapabilities } from './routing/needed-capabilities.ts'
import { createPodLock } from './routing/pod-lock.ts'
import type { PodName, PodRequest } from './sandboxes/pod-request.ts'
import { recoverSandboxes } from './sandboxes/recover.ts'
import { findRecord, type Sandboxes } from './sandboxes/sandboxes.ts'
import { setUpSandbox } from './sandboxes/set-up.ts'
import { tearDownSandbox } from './sandboxes/tear-down.ts'
import type { SandboxRecord } from './state/sandbox-record.ts'
import { createSandboxStore } from './state/sandbox-store.ts'

/** How a host is made. */
export interface NetworkHostOptions {
  /** The configuration itself, or one that was loaded; without it, one is searched for. */
  readonly config?: PodwireConfig | LoadedConfig
  /** The configuration's file. */
  readonly configFile?: string
  /** Where the search for a configuration and for plugins starts. Default: the working directory. */
  readonly cwd?: string
  /** Wins over the configuration's. */
  readonly stateDir?: string
  readonly log?: Logger
  /** Take down at the start what earlier processes left half done. Default: true. */
  readonly recover?: boolean
  /** Called first of all, to listen to what happens from the start. */
  readonly listen?: (events: NetworkHost['events']) => void
}

/** Why pods can't be set up, if they can't. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: string }

/** The process that owns plugins and sandboxes: the kubelet's part. */
export interface NetworkHost {
  readonly configuration: LoadedConfig
  readonly catalog: PluginCatalog
  readonly plugin: ActivePlugin
  readonly events: Pick<HostEmitter, 'on' | 'once'>
  /**
   * Gives the pod a sandbox and its network; a pod that has them keeps them.
   * @throws PodwireError `INVALID_POD`, `MISSING_CAPABILITY`, `PLUGIN_OPERATION_FAILED`, `NETNS_CONFLICT` …
   */
  setUpPod(pod: PodRequest, signal?: AbortSignal): Promise<SandboxRecord>
  /** Takes both away. A pod that isn't there is success. */
  tearDownPod(pod: PodName, signal?: AbortSignal): Promise<void>
  /** What is known of one pod; undefined when nothing is. */
  pod(pod: PodName): Promise<SandboxRecord | undefined>
  pods(): Promise<SandboxRecord[]>
  /** Rejects when the pod's network is no longer as it was set up, where the plugin can tell. */
  checkPod(pod: PodName, signal?: AbortSignal): Promise<void>
  /**
   * Has the plugin free what belongs to no sandbox of this host. Set-ups of this process wait for it; don't call it while
   * another process that shares the state directory sets pods up.
   */
  collectGarbage(signal?: AbortSignal): Promise<void>
  status(): Promise<Readiness>
  /** Passes an event to the plugin. */
  event(name: string, details: EventDetails): Promise<void>
  /** Stops timers and watchers; pods keep their networks. */
  close(): Promise<void>
}

/**
 * Loads the configuration and the plugin it names, initialises the plugin, tells it the pod CIDR, and recovers.
 * @throws PodwireError about the configuration; AggregateError about the plugin
 */
export async function createNetworkHost(options: NetworkHostOptions = {}): Promise<NetworkHost> {
  const { log = silentLogger, recover = true } = options
  const configuration = await configurationOf(options)
  const { config } = configuration
  const events = createHostEmitter((event, error) =>
    log.error(`a listener of ${event} failed: ${messageOf(error)}`, { error }),
  )
  options.listen?.(events)
  const store = createSandboxStore(config.stateDir)
  const catalog = await createPluginCatalog(configuration, log)
  const start = (name: string) => startPlugin({ name, catalog, config, store, events, log })
  const active = await start(config.networkPlugin)

  // A pod goes down by the plugin that set it up, though the configuration names another by now.
  const others = new Map<string, Promise<ActivePlugin>>()
  const other = (name: string): Promise<ActivePlugin> => {
    const started = others.get(name) ?? start(name === DEFAULT_PLUGIN_NAME ? '' : name)
    others.set(name, started)
    started.catch(() => others.delete(name))
    return started
  }

  let collecting: Promise<void> | undefined
  const room: Sandboxes = {
    store,
    lock: createPodLock(config.stateDir),
    events,
    active: active.manager,
    managerOf: async (name) => (name === active.manager.name ? active : await other(name)).manager,
    checkCapabilities: (pod) => {
      const missing = missingCapabilities(
        active.manager.capabilities(),
        neededCapabilities(pod, config.podCIDR),
      )
      if (missing === 0) return
      const error = missingCapability({
        pod,
        plugin: active.manager.name,
        missing,
        capable: catalog.capable(missing),
      })
      if (config.onMissingCapability === 'error') throw error
      log.warn(error.message, error.details)
    },
    collecting: () => collecting,
    warn: (message, details) => log.warn(message, details),
  }
  const known = (pod: PodName): SandboxRecord => {
    const record = findRecord(store, pod)
    if (!record) throw unknownPod({ pod })
    return record
  }

  if (recover) await recoverSandboxes(room)
  let lastReadiness: string | undefined = 'not asked'

  return {
    configuration,
    catalog,
    plugin: active,
    events,
    setUpPod: (pod, signal) => setUpSandbox(room, pod, signal),
    tearDownPod: (pod, signal) => tearDownSandbox(room, pod, signal),
    pod: async (pod) => findRecord(store, pod),
    pods: async () => store.list().records,
    checkPod: async (pod, signal) => {
      const record = known(pod)
      await (await room.managerOf(record.plugin)).checkPod(record.pod, signal)
    },
    collectGarbage: async (signal) => {
      while (collecting) await collecting
      const valid = store.list().records.map((record) => record.pod.sandboxId)
      const collection = active.manager.collectGarbage(valid, signal)
      const ended = () => {
        collecting = undefined
      }
      collecting = collection.then(ended, ended)
      await collection
    },
    status: async () => {
      const reason = await active.manager.notReady()
      const readiness: Readiness = reason === undefined ? { ready: true } : { ready: false, reason }
      if (reason !== lastReadiness)
        events.emit('status:changed', { plugin: active.manager.name, ...readiness })
      lastReadiness = reason
      return readiness
    },
    event: async (name, details) => {
      const cidr = details[NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]
      await active.manager.event(name, details)
      if (name === NET_PLUGIN_EVENT_POD_CIDR_CHANGE && typeof cidr === 'string') {
        events.emit(NET_PLUGIN_EVENT_POD_CIDR_CHANGE, { 'pod-cidr': cidr })
      }
    },
    close: async () => {
      const started = await Promise.allSettled(others.values())
      const running = [active, ...started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))]
      await Promise.all(running.map(({ manager }) => manager.close()))
    },
  }
}

async function configurationOf(options: NetworkHostOptions): Promise<LoadedConfig> {
  const { config, configFile, cwd = process.cwd(), stateDir } = options
  const dir = resolve(cwd)
  const loaded =
    config === undefined
      ? await loadConfig({ cwd, ...(configFile === undefined ? {} : { file: configFile }) })
      : isLoaded(config)
        ? config
        : { file: undefined, dir, config: parseConfig(config, undefined, dir) }
  if (stateDir === undefined) return loaded
  return { ...loaded, config: { ...loaded.config, stateDir: resolve(cwd, stateDir) } }
}

function isLoaded(config: PodwireConfig | LoadedConfig): config is LoadedConfig {
  return 'config' in config
}
