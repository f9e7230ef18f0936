import { type Logger, messageOf } from '@podwire/api'
import type { ClusterPods, OwnPod } from '@podwire/cluster'
import type { SandboxRecord } from '@podwire/core'
import type { ReloadableHost } from '../reloadable-host.ts'

/** Pods that other processes set up, or that changed otherwise unseen, are found so often. Milliseconds. */
const lookMs = 60_000

/**
 * Tells the other nodes of this one's pods, when they are ready and when their tear-down begins. No set-up waits for that.
 * @param shared keys of the annotations that the others are told, or how they begin: `example.org/*`
 */
export function tellOwnPods(
  host: ReloadableHost,
  pods: ClusterPods,
  shared: readonly string[],
  log: Logger,
): { stop(): void } {
  const { events } = host
  const told = (record: SandboxRecord) => toldOf(record, shared)

  /** What happened since a look began, which what it found may be older than. */
  const since = new Map<string, 'ready' | 'leaving'>()

  async function look() {
    since.clear()
    try {
      pods.setAll((await host.pods()).flatMap((record) => told(record) ?? []))
      for (const [sandboxId, what] of since) {
        if (what === 'ready') await tell(sandboxId)
        else pods.remove(sandboxId)
      }
    } catch (error) {
      log.warn(`cluster: this node's pods can't be read: ${messageOf(error)}`)
    }
  }

  async function tell(sandboxId: string) {
    const record = await host.sandbox(sandboxId)
    const pod = record && told(record)
    if (pod && since.get(sandboxId) !== 'leaving') pods.set(pod)
  }

  const listening = [
    events.on('pod:setup:done', ({ pod: { sandboxId } }) => {
      since.set(sandboxId, 'ready')
      return tell(sandboxId)
    }),
    // Before its address is another one's.
    events.on('pod:teardown:start', ({ pod: { sandboxId } }) => {
      since.set(sandboxId, 'leaving')
      pods.remove(sandboxId)
    }),
  ]
  void look()
  const looking = setInterval(() => void look(), lookMs).unref()
  return {
    stop() {
      for (const end of listening) end()
      clearInterval(looking)
    },
  }
}

function toldOf({ pod, phase, status }: SandboxRecord, shared: readonly string[]): OwnPod | undefined {
  if ((phase !== 'ready' && phase !== 'changing') || !status) return undefined
  const { sandboxId, namespace, name } = pod
  return {
    sandboxId,
    namespace,
    name,
    addresses: status.ips ?? [status.ip],
    annotations: Object.fromEntries(
      Object.entries(pod.annotations).filter(([key]) => shared.some((one) => isOf(key, one))),
    ),
  }
}

const isOf = (key: string, shared: string) =>
  shared.endsWith('*') ? key.startsWith(shared.slice(0, -1)) : key === shared
