import type { AllowedFlow, ClosedFlow, FlowTraffic } from '@podwire/api'
import type { Connection } from '@podwire/netlink'

/** Whose a connection is, and with whom. */
export type FlowEnds = Omit<AllowedFlow, 'count' | 'start'>

/** Connections that began and ended within a moment: those of one kind are one flow. Times are in milliseconds since 1970. */
export interface MergedFlows {
  began(flow: FlowEnds, start: number | undefined): void
  ended(flow: FlowEnds, connection: Connection, start: number | undefined, end: number | undefined): void
  allowed(): Iterable<AllowedFlow>
  closed(): Iterable<ClosedFlow>
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

export function createMergedFlows(): MergedFlows {
  const allowed = new Map<string, Mutable<AllowedFlow>>()
  const closed = new Map<string, Mutable<ClosedFlow>>()
  return {
    began(flow, start) {
      const key = JSON.stringify(flow)
      const before = allowed.get(key)
      if (before) before.count++
      else allowed.set(key, { ...flow, count: 1, ...startOf(start) })
    },
    ended(flow, { traffic }, start, end) {
      const key = JSON.stringify(flow)
      const one: Mutable<ClosedFlow> = closed.get(key) ?? { ...flow, count: 0 }
      closed.set(key, one)
      one.count++
      const durationMs = start === undefined || end === undefined ? undefined : end - start
      if (durationMs !== undefined && durationMs >= (one.durationMs ?? 0))
        Object.assign(one, { durationMs, ...startOf(start) })
      if (!traffic) return
      const { original, reply } = traffic
      const [sent, received] = flow.direction === 'egress' ? [original, reply] : [reply, original]
      one.sent = sum(one.sent, sent)
      one.received = sum(one.received, received)
    },
    allowed: () => allowed.values(),
    closed: () => closed.values(),
  }
}

const startOf = (start: number | undefined) =>
  start === undefined ? {} : { start: new Date(start).toISOString() }

const sum = (one: FlowTraffic | undefined, { bytes, packets }: FlowTraffic): FlowTraffic => ({
  bytes: (one?.bytes ?? 0) + bytes,
  packets: (one?.packets ?? 0) + packets,
})
