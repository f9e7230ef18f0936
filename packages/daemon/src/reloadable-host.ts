import { type Logger, messageOf } from '@podwire/api'
import { createFlowWatch, type LoadedConfig, type LocalNetworkHost, type NetworkHost } from '@podwire/core'
import { createHostEmitter, type HostEmitter, type HostEvents, hostEventNames } from '@podwire/core/events'

/** A host that can be exchanged for one of another configuration while it works. */
export interface ReloadableHost extends LocalNetworkHost {
  readonly events: HostEmitter
  /** Starts a host by a configuration; what is asked from then on goes to it. Rejects where it can't start, and the old one stays. */
  exchange(configuration: LoadedConfig): Promise<void>
}

/** Makes a host by a configuration. @param first it is the daemon's first, which recovers */
export type StartHost = (
  configuration: LoadedConfig,
  listen: (events: NetworkHost['events']) => void,
  first: boolean,
) => Promise<LocalNetworkHost>

/** One host, and how much it has to do. */
interface Generation {
  readonly host: LocalNetworkHost
  busy: number
  /** Called when it has nothing to do. */
  onIdle: () => void
}

/**
 * Each operation goes to its end in the host that began it: pods are locked one by one, so that two hosts of one process
 * get along as two processes do. A host that was exchanged is closed when it has nothing to do any more.
 */
export async function createReloadableHost(
  configuration: LoadedConfig,
  startHost: StartHost,
  log: Logger,
  listen: (events: HostEmitter) => void,
): Promise<ReloadableHost> {
  const events = createHostEmitter((event, error) =>
    log.error(`a listener of ${event} failed: ${messageOf(error)}`, { error }),
  )
  // Before anything happens: the first host recovers while it starts.
  listen(events)
  const begin = async (by: LoadedConfig, first: boolean): Promise<Generation> => ({
    host: await startHost(by, (made) => relay(made, events), first),
    busy: 0,
    onIdle: () => {},
  })
  // Pods whose DNS and denials were told by a process, or a host of this one, that has ended.
  const takeUp = (host: NetworkHost) =>
    host
      .event('repair', { resident: true })
      .catch((error: unknown) =>
        log.warn(`what earlier processes answered is not taken up: ${messageOf(error)}`),
      )
  let current = await begin(configuration, true)
  await takeUp(current.host)
  const flows = createFlowWatch(() => current.host.watchFlows())
  // The ends of the hosts before it; a collection of garbage must not run beside their set-ups.
  let earlier: Promise<void> = Promise.resolve()

  const use = async <T>(work: (host: LocalNetworkHost) => Promise<T>): Promise<T> => {
    const generation = current
    generation.busy++
    try {
      return await work(generation.host)
    } finally {
      generation.busy--
      if (generation.busy === 0) generation.onIdle()
    }
  }
  const end = async (generation: Generation) => {
    await new Promise<void>((resolve) => {
      generation.onIdle = resolve
      if (generation.busy === 0) resolve()
    })
    await generation.host.close()
  }
  const ended = (generation: Generation) =>
    end(generation).catch((error: unknown) =>
      log.error(`the host before could not be closed: ${messageOf(error)}`, { error }),
    )

  events.on('plugin:restarted', () => void use(takeUp))

  return {
    events,
    get configuration() {
      return current.host.configuration
    },
    get catalog() {
      return current.host.catalog
    },
    exchange: async (by) => {
      const next = await begin(by, false)
      const before = current
      current = next
      await flows
        .again()
        .catch((error: unknown) => log.warn(`allowed flows are not told any more: ${messageOf(error)}`))
      earlier = Promise.all([earlier, ended(before)]).then(() => use(takeUp))
    },
    plugin: () => use((host) => host.plugin()),
    setUpPod: (pod, options) => use((host) => host.setUpPod(pod, options)),
    tearDownPod: (pod, options) => use((host) => host.tearDownPod(pod, options)),
    pod: (pod) => use((host) => host.pod(pod)),
    sandbox: (sandboxId) => use((host) => host.sandbox(sandboxId)),
    pods: () => use((host) => host.pods()),
    checkPod: (pod, options) => use((host) => host.checkPod(pod, options)),
    repair: (options) => use((host) => host.repair(options)),
    prune: (options) => use((host) => host.prune(options)),
    collectGarbage: async (options) => {
      await earlier
      await use((host) => host.collectGarbage(options))
    },
    watchFlows: flows.join,
    resetPlugin: (name) => use((host) => host.resetPlugin(name)),
    status: () => use((host) => host.status()),
    event: (name, details) => use((host) => host.event(name, details)),
    close: async () => {
      await Promise.all([earlier, end(current)])
    },
  }
}

function relay(from: NetworkHost['events'], to: HostEmitter): void {
  const pass = <E extends keyof HostEvents>(name: E) => from.on(name, (event) => to.emit(name, event))
  for (const name of hostEventNames) pass(name)
}
