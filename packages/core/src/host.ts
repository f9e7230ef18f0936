import {
  Capability,
  type EventDetails,
  FLOWS_WANTED,
  type Logger,
  messageOf,
  missingCapabilities,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
  podRef,
} from '@podwire/api'
import type { IsolationMode } from './config/isolation.ts'
import { type LoadConfigOptions, type LoadedConfig, loadConfig } from './config/load.ts'
import type { PodwireConfig } from './config/schema.ts'
import { errors } from './errors.ts'
import { createHostEmitter, type HostEmitter } from './events.ts'
import { createFlowWatch } from './flow-watch.ts'
import { silentLogger } from './log.ts'
import type { Installation } from './plugins/candidates.ts'
import { createPluginCatalog, type PluginCatalog } from './plugins/catalog.ts'
import type { ActivePlugin, RunningPlugin } from './plugins/start-plugin.ts'
import { startedPlugins } from './plugins/started-plugins.ts'
import { unusedKeys } from './plugins/unused-keys.ts'
import { hostNamesIn } from './policy/policy.ts'
import { findRecord, type OperationOptions, type SandboxContext } from './sandboxes/context.ts'
import { createPodLock } from './sandboxes/lock.ts'
import {
  type PruneOptions,
  type PruneResult,
  pruneSandboxes,
  type RepairResult,
  repairSandboxes,
} from './sandboxes/maintain.ts'
import { neededCapabilities } from './sandboxes/needed-capabilities.ts'
import type { PodName, PodRequest } from './sandboxes/pod-request.ts'
import type { SandboxRecord } from './sandboxes/record.ts'
import { recoverSandboxes } from './sandboxes/recover.ts'
import { setUpSandbox } from './sandboxes/set-up.ts'
import { assertStateDirHere, assertStateDirSafe, stateDirProblem } from './sandboxes/state-dir.ts'
import { stateDirHolder } from './sandboxes/state-lock.ts'
import { createSandboxStore } from './sandboxes/store.ts'
import { type TearDownOptions, tearDownSandbox } from './sandboxes/tear-down.ts'

/** How a host is made. */
export interface NetworkHostOptions extends Omit<LoadConfigOptions, 'config' | 'file' | 'env'> {
  /** The configuration itself, or one that was loaded; without it, one is searched for. */
  readonly config?: PodwireConfig | LoadedConfig
  /** The configuration's file. */
  readonly configFile?: string
  /** What comes with the program: plugin packages, and what is installed beside it. */
  readonly installation?: Installation
  readonly log?: Logger
  /** Which plugin packages run in a process of their own, where the configuration doesn't say. Default: none. */
  readonly defaultIsolation?: IsolationMode
  /** Start the configured plugin at once. Default: true; else when it is first needed. */
  readonly start?: boolean
  /** Tear down at the start what earlier processes left half done. Default: as `start`. */
  readonly recover?: boolean
  /**
   * Whether this process stays as long as its pods, and so may answer their DNS: a policy with names needs somebody who does.
   * Default: true.
   */
  readonly resident?: boolean
  /** Called first of all, to listen to what happens from the start. */
  readonly listen?: (events: NetworkHost['events']) => void
}

/** Why pods can't be set up, if they can't. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: string }

/** The process that owns plugins and sandboxes: the kubelet's part. It may be this process, or a daemon. */
export interface NetworkHost {
  readonly events: Pick<HostEmitter, 'on' | 'once'>
  /** The configured plugin, started when it wasn't yet. */
  plugin(): Promise<ActivePlugin>
  /**
   * Gives the pod a sandbox and its network; a pod that has them keeps them, and what is not right of them is mended.
   * @throws PodwireError `INVALID_POD`, `MISSING_CAPABILITY`, `PLUGIN_OPERATION_FAILED`, `NETNS_CONFLICT` …
   */
  setUpPod(pod: PodRequest, options?: OperationOptions): Promise<SandboxRecord>
  /** Takes both away. A pod that isn't there is success. Returns what may be left, only ever with `force`. */
  tearDownPod(pod: PodName, options?: TearDownOptions): Promise<string[]>
  /** What is known of one pod; undefined when nothing is. */
  pod(pod: PodName): Promise<SandboxRecord | undefined>
  pods(): Promise<SandboxRecord[]>
  /** Rejects when the pod's network is no longer as it was set up, where the plugin can tell. */
  checkPod(pod: PodName, options?: OperationOptions): Promise<void>
  /** Has the plugin put back what all pods share, then sees that each pod is as it was set up, and mends what is not. */
  repair(options?: OperationOptions): Promise<RepairResult[]>
  /**
   * Tears down pods that are stuck, ownerless, or without their network namespace; with `all`, every pod but those that container
   * runtimes attached, which it tells of; with `attachments` besides, those too.
   */
  prune(options?: PruneOptions): Promise<PruneResult[]>
  /**
   * Has the plugin free what belongs to no sandbox of this host. Set-ups of this process wait for it; don't call it while
   * another process that shares the state directory sets pods up.
   */
  collectGarbage(options?: OperationOptions): Promise<void>
  status(): Promise<Readiness>
  /**
   * Forgets the crashes of a plugin's process, and starts one again that stays down because of them; returns whether there
   * was one.
   * @throws PodwireError `PLUGIN_QUARANTINED` where it crashes again
   */
  resetPlugin(name: string): Promise<boolean>
  /**
   * Has allowed flows told too, where the plugin can: `flow:allowed` when they begin, those first that are there, and `flow:closed`
   * when they end. It costs something for each connection, so end it: resolves with what does, which resolves when all that happened
   * before was told.
   */
  watchFlows(): Promise<() => Promise<void>>
  /** Passes an event to the plugin. */
  event(name: string, details: EventDetails): Promise<void>
  /** Stops timers and watchers; pods keep their networks. */
  close(): Promise<void>
}

/** A host in this process. */
export interface LocalNetworkHost extends NetworkHost {
  readonly configuration: LoadedConfig
  readonly catalog: PluginCatalog
  plugin(): Promise<RunningPlugin>
  /** What is known of the pod in a sandbox; undefined when nothing is. */
  sandbox(sandboxId: string): Promise<SandboxRecord | undefined>
}

/**
 * Loads the configuration and the plugin it names, initialises the plugin, tells it the pod CIDR, and recovers.
 * @throws PodwireError about the configuration or the state directory; AggregateError about the plugin
 */
export async function createNetworkHost(options: NetworkHostOptions = {}): Promise<LocalNetworkHost> {
  const {
    log = silentLogger,
    start = true,
    recover = start,
    resident = true,
    installation,
    defaultIsolation,
  } = options
  const configuration = await configurationOf(options)
  const { config } = configuration
  const events = createHostEmitter((event, error) =>
    log.error(`a listener of ${event} failed: ${messageOf(error)}`, { error }),
  )
  options.listen?.(events)
  assertStateDirSafe(config.stateDir)
  tellOfDaemon(config.stateDir, log)
  const unused = unusedKeys(config)
  if (start && unused !== undefined) log.warn(unused)
  const store = createSandboxStore(config.stateDir)
  const catalog = await createPluginCatalog({ configuration, installation, log, defaultIsolation })
  const started = startedPlugins(
    { catalog, deadlines: config.deadlines, sandboxes: store, resident, events, log },
    configuration,
  )

  const flows = createFlowWatch(async () => {
    const tell = async (wanted: boolean) => (await started.active()).manager.event(FLOWS_WANTED, { wanted })
    await tell(true)
    return () => tell(false)
  })
  events.on('plugin:restarted', flows.again)

  let collecting: Promise<void> | undefined
  const context: SandboxContext = {
    store,
    lock: createPodLock(config.stateDir),
    events,
    deadlines: config.deadlines,
    policy: config.policy,
    active: started.active,
    managerOf: started.managerOf,
    checkCapabilities: (pod, manager) => {
      const missing = missingCapabilities(manager.capabilities(), neededCapabilities(pod, config.podCIDR))
      if (missing === 0) return
      const capable = catalog.capable(missing).filter((name) => name !== manager.name)
      const error = errors.MISSING_CAPABILITY({ pod: podRef(pod), plugin: manager.name, missing, capable })
      // A pod that would be open instead of shut is worse than none.
      if (config.onMissingCapability === 'error' || missing & Capability.policy) throw error
      log.warn(error.message, error.details)
    },
    checkNames: (pod) => {
      const [name] = pod.policy ? hostNamesIn(pod.policy) : []
      if (name !== undefined && !resident) throw errors.POLICY_NEEDS_HOST({ pod: podRef(pod), name })
    },
    collecting: () => collecting,
    claimState: () => assertStateDirHere(config.stateDir, store).claim(),
    warn: (message, details) => log.warn(message, details),
  }

  if (start) await started.active()
  const assertHere = () => assertStateDirHere(config.stateDir, store)
  if (recover) {
    assertHere()
    await recoverSandboxes(context)
  }
  let lastReadiness: string | undefined = 'not asked'

  return {
    configuration,
    catalog,
    events,
    plugin: started.active,
    setUpPod: async (pod, operation) => setUpSandbox(context, pod, operation),
    tearDownPod: async (pod, operation) => {
      assertHere()
      return tearDownSandbox(context, pod, operation)
    },
    pod: async (pod) => findRecord(store, pod),
    sandbox: async (sandboxId) => store.get(sandboxId),
    pods: async () => store.list().records,
    checkPod: async (pod, { signal } = {}) => {
      const record = findRecord(store, pod)
      if (!record) throw errors.UNKNOWN_POD({ pod })
      await (await context.managerOf(record)).checkPod(podRef(record.pod), signal)
    },
    repair: async (operation) => {
      const { manager } = await started.active()
      await manager.event('repair', { resident })
      return repairSandboxes(context, operation)
    },
    prune: async (operation) => {
      assertHere()
      return pruneSandboxes(context, operation)
    },
    collectGarbage: async ({ signal } = {}) => {
      const { manager } = await started.active()
      while (collecting) await collecting
      const valid = store.list().records.map((record) => record.pod.sandboxId)
      const collection = manager.collectGarbage(valid, signal)
      const ended = () => {
        collecting = undefined
      }
      collecting = collection.then(ended, ended)
      await collection
    },
    status: async () => {
      const { manager } = await started.active()
      const reason = (await manager.notReady()) ?? stateDirProblem(config.stateDir)
      const readiness: Readiness = reason === undefined ? { ready: true } : { ready: false, reason }
      if (reason !== lastReadiness) events.emit('status:changed', { plugin: manager.name, ...readiness })
      lastReadiness = reason
      return readiness
    },
    resetPlugin: started.reset,
    watchFlows: flows.join,
    event: async (name, details) => {
      const { manager } = await started.active()
      const cidr = details[NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]
      await manager.event(name, details)
      if (name === NET_PLUGIN_EVENT_POD_CIDR_CHANGE && typeof cidr === 'string') {
        events.emit(NET_PLUGIN_EVENT_POD_CIDR_CHANGE, { 'pod-cidr': cidr })
      }
    },
    close: started.close,
  }
}

// Each pod is worked on by one of the two at a time; only a collection of garbage must not run beside the other's set-ups.
function tellOfDaemon(stateDir: string, log: Logger): void {
  const pid = stateDirHolder(stateDir)
  if (pid === undefined || pid === process.pid) return
  log.warn(
    `a daemon (process ${pid}) works on ${stateDir} too: connect to it instead, or leave garbage to it`,
  )
}

async function configurationOf(options: NetworkHostOptions): Promise<LoadedConfig> {
  const { config, configFile, ...rest } = options
  if (config && 'searchFrom' in config) return config
  return loadConfig({
    ...rest,
    ...(config ? { config } : {}),
    ...(configFile === undefined ? {} : { file: configFile }),
  })
}
