import type { PodNetworkStatus } from '@podwire/api'
import type { NetworkHost, SandboxPhase } from '@podwire/core'

/** What metrics tell of the pods there are. */
export interface PodIndex {
  /** How many there are in each phase, and how many addresses of each family they have. */
  count(): Promise<{ phases: ReadonlyMap<SandboxPhase, number>; ipv4: number; ipv6: number }>
}

interface Indexed {
  phase: SandboxPhase
  ips: readonly string[]
}

/**
 * How long the index goes without a look at the records. It takes a second for ten thousand of them, and tells only of what
 * other processes did. Milliseconds.
 */
const refreshMs = 10 * 60_000

/** Keeps count by the events of a host: to read every record for each question would hold a large host up. */
export function createPodIndex(host: NetworkHost): PodIndex {
  const pods = new Map<string, Indexed>()
  let refreshedAt = Number.NEGATIVE_INFINITY
  const { events } = host
  events.on('pod:setup:start', ({ pod: { sandboxId } }) => {
    const known = pods.get(sandboxId)
    pods.set(sandboxId, known ? { ...known, phase: 'changing' } : { phase: 'setting-up', ips: [] })
  })
  events.on('pod:setup:done', ({ pod: { sandboxId }, status }) => {
    pods.set(sandboxId, { phase: 'ready', ips: addressesOf(status) })
  })
  // What was ready stays as it was; what was new is torn down, which says what becomes of it.
  events.on('pod:setup:failed', ({ pod: { sandboxId } }) => {
    const known = pods.get(sandboxId)
    if (known?.phase === 'changing') pods.set(sandboxId, { ...known, phase: 'ready' })
  })
  events.on('pod:teardown:start', ({ pod: { sandboxId } }) => {
    pods.set(sandboxId, { ips: [], ...pods.get(sandboxId), phase: 'tearing-down' })
  })
  events.on('pod:teardown:done', ({ pod: { sandboxId } }) => void pods.delete(sandboxId))

  return {
    count: async () => {
      if (performance.now() - refreshedAt > refreshMs) {
        refreshedAt = performance.now()
        const records = await host.pods()
        pods.clear()
        for (const { pod, phase, status } of records)
          pods.set(pod.sandboxId, { phase, ips: addressesOf(status) })
      }
      const phases = new Map<SandboxPhase, number>()
      let [ipv4, ipv6] = [0, 0]
      for (const { phase, ips } of pods.values()) {
        phases.set(phase, (phases.get(phase) ?? 0) + 1)
        for (const ip of ips) {
          if (ip.includes(':')) ipv6++
          else ipv4++
        }
      }
      return { phases, ipv4, ipv6 }
    },
  }
}

function addressesOf(status: PodNetworkStatus | undefined): readonly string[] {
  return status?.ips ?? (status ? [status.ip] : [])
}
