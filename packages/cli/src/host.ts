import type { NetworkHost, PodName, SandboxRecord, SandboxStore } from '@podwire/core'
import {
  installation,
  type LenientConfiguration,
  type LoadConfiguration,
  loadConfiguration,
  loadLenient,
} from './configuration.ts'
import { connectDaemon } from './daemon-host.ts'
import { errors } from './errors.ts'
import type { GlobalFlags } from './flags.ts'
import { logEvents, stderrLogger } from './logger.ts'
import { knowOperations } from './process-guard.ts'

/** How a command uses a host. */
export interface HostUse {
  /** Works with a broken configuration too, and starts its plugin only when that is needed. Default: false. */
  readonly lenient?: boolean
  /** Take down at the start what earlier processes left half done. Default: true; false: only look. */
  readonly recover?: boolean
  /** Must not be done beside a daemon: it takes for nobody's what the daemon is just making. Default: false. */
  readonly alone?: boolean
  /** Whether the process stays as long as the pods that it sets up. Default: true. */
  readonly resident?: boolean
  /** The pod whose record is wanted as it was before anything was recovered. */
  readonly pod?: PodName
}

/** What a command may want to know of a host besides. */
export interface AboutHost {
  /** What is wrong with the configuration, where `lenient` went on without it. */
  readonly problem?: Error
  readonly stateDir: string
  /** The name of the plugin that sets pods up. */
  readonly networkPlugin: string
  /** The record of `pod`, which recovery may have taken; a daemon recovers when it starts alone, and its host has the record. */
  readonly before?: SandboxRecord
}

/** Runs `use` with the host of the daemon that runs, else with one made as the flags say; closes it whatever happens. */
export async function withHost<T>(
  flags: GlobalFlags,
  use: (host: NetworkHost, about: AboutHost) => Promise<T>,
  options: HostUse = {},
): Promise<T> {
  let loading: ReturnType<LoadConfiguration> | undefined
  const load: LoadConfiguration = () => {
    loading ??= loadConfiguration(flags)
    return loading
  }
  const { host, about } = (await daemonHost(flags, load)) ?? (await localHost(flags, load, options))
  try {
    return await use(host, about)
  } finally {
    await host.close()
  }
}

async function daemonHost(flags: GlobalFlags, load: LoadConfiguration) {
  const host = await connectDaemon(flags, load)
  if (!host) return undefined
  if (flags.verbose) logEvents(host.events, stderrLogger(true))
  const { stateDir, networkPlugin } = host.daemon
  return { host, about: { stateDir, networkPlugin } }
}

async function localHost(
  flags: GlobalFlags,
  load: LoadConfiguration,
  { lenient = false, recover = true, alone = false, resident = true, pod }: HostUse,
) {
  const { createNetworkHost, createSandboxStore, currentOperation, stateDirHolder } = await import(
    '@podwire/core'
  )
  knowOperations(currentOperation)
  const { configuration, problem }: LenientConfiguration = lenient
    ? await loadLenient(flags, load)
    : { configuration: await load() }
  const { stateDir, networkPlugin } = configuration.config
  const daemonPid = alone ? stateDirHolder(stateDir) : undefined
  if (daemonPid !== undefined) throw errors.BESIDE_DAEMON({ pid: daemonPid, stateDir })
  const before = pod && recordOf(createSandboxStore(stateDir), pod)
  const log = stderrLogger(flags.verbose ?? false)
  const host = await createNetworkHost({
    config: configuration,
    installation: installation(),
    log,
    recover,
    resident,
    start: !lenient,
    listen: (events) => logEvents(events, log),
  })
  return {
    host,
    about: { ...(problem ? { problem } : {}), ...(before ? { before } : {}), stateDir, networkPlugin },
  }
}

// What keeps it from being read keeps the host from being made, which says so.
function recordOf(store: SandboxStore, pod: PodName): SandboxRecord | undefined {
  try {
    return store.find(pod)
  } catch {
    return undefined
  }
}
