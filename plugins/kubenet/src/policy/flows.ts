import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  type AllowedFlow,
  type ClosedFlow,
  FLOW_ALLOWED,
  FLOW_CLOSED,
  FLOW_LOST,
  ignoring,
  type Logger,
  messageOf,
  podRef,
} from '@podwire/api'
import {
  type Connection,
  type ConnectionEvent,
  conntrack,
  NETLINK_NETFILTER,
  type Netlink,
  openNetlink,
  readSysctl,
  watchConnections,
  writeSysctl,
} from '@podwire/netlink'
import type { PodRecord } from '../pod-record.ts'
import { triedBy } from './connections.ts'
import { createMergedFlows, type FlowEnds } from './merged-flows.ts'
import { protocolName } from './protocols.ts'

/** Tells which connections of pods begin and end, while somebody wants to know. Until then it costs nothing, and nothing is open. */
export interface Flows {
  /** Begins, with what is there, or ends; resolves when all until then was told. */
  watch(isWanted: boolean): Promise<void>
  /** Tells the end of a pod's connections, whose link is gone: nobody would know later whose they were. */
  end(pod: PodRecord): Promise<void>
  close(): void
}

interface FlowsContext {
  readonly log: Logger
  report(event: string, details: AllowedFlow | ClosedFlow | Record<string, never>): void
  podOf(address: string): PodRecord | undefined
  /** The name that led a pod to an address. */
  nameOf(sandboxId: string, address: string): string | undefined
}

/** How long connections of one kind are gathered before they are told of together. Milliseconds. */
const gatheringMs = 250
/** So many are gathered at a time, and so many that are open are remembered. What is over is told as lost. */
const mostGathered = 4_096
const mostOpen = 32_768

const ACCOUNTING = 'net/netfilter/nf_conntrack_acct'
const DNS_PORT = 53

/** So many turns of the event loop are waited for what was told before. */
const mostTurns = 200

interface Happened {
  readonly event: 'began' | 'ended'
  readonly connection: Connection
  /** Milliseconds since 1970; undefined: before anybody listened. */
  readonly at: number | undefined
}

/** What is known of a connection that is open. */
interface Open {
  readonly connection: Connection
  readonly start: number | undefined
  readonly name: string | undefined
  /** The sandboxes of the pods at its ends. */
  readonly pods: readonly string[]
}

/** While somebody wants to know. */
interface Watch {
  readonly netlink: Netlink
  readonly controller: AbortController
  readonly open: Map<string, Open>
  /** Those whose end was told before the kernel told it. */
  readonly told: Set<string>
  happened: Happened[]
  lost: boolean
  timer: NodeJS.Timeout | undefined
  /** How many events were heard. */
  heard: number
  /** Whether the kernel counts because of this. */
  counts: boolean
}

export function createFlows(context: FlowsContext): Flows {
  const { log, report } = context
  let watching: Watch | undefined

  async function start() {
    const netlink = openNetlink({ protocol: NETLINK_NETFILTER })
    const controller = new AbortController()
    try {
      const events = watchConnections(netlink, { ref: false, signal: controller.signal })
      const watch: Watch = {
        ...{ netlink, controller, open: new Map(), told: new Set(), happened: [], lost: false },
        ...{ timer: undefined, heard: 0, counts: count() },
      }
      watching = watch
      follow(watch, events).catch((error) =>
        log.warn(`kubenet hears no more of the connections of pods: ${messageOf(error)}`),
      )
      for (const connection of await netlink.run(conntrack.list()))
        take(watch, { event: 'began', connection, at: undefined })
    } catch (error) {
      stop()
      controller.abort()
      netlink.close()
      throw error
    }
    flush()
  }

  function stop() {
    const watch = watching
    if (!watch) return
    flush()
    watching = undefined
    watch.controller.abort()
    watch.netlink.close()
    if (watch.counts) setAccounting(0)
  }

  /** Has the kernel count what goes by connections that begin from now on; whether it did not before. */
  function count(): boolean {
    try {
      if (readSysctl(ACCOUNTING) !== '0') return false
    } catch {
      return false
    }
    return setAccounting(1)
  }

  function setAccounting(value: 0 | 1): boolean {
    try {
      writeSysctl(ACCOUNTING, value)
      return true
    } catch (error) {
      log.debug(`kubenet can't have the kernel count what connections carry: ${messageOf(error)}`)
      return false
    }
  }

  async function follow(watch: Watch, events: AsyncIterable<ConnectionEvent>) {
    for await (const { event, connection } of events) {
      if (event === 'lost') watch.lost = true
      else take(watch, { event, connection, at: Date.now() })
      watch.timer ??= setTimeout(flush, gatheringMs).unref()
      // A flood must not keep the process from all else.
      if (++watch.heard % 64 === 0) await nextTurn()
    }
  }

  function take(watch: Watch, happened: Happened) {
    if (watch.happened.length < mostGathered) watch.happened.push(happened)
    else watch.lost = true
  }

  /** Tells what was gathered: whose it was is looked up once for each address. */
  function flush() {
    const watch = watching
    if (!watch) return
    clearTimeout(watch.timer)
    watch.timer = undefined
    const { happened } = watch
    watch.happened = []
    const pods = new Map<string, PodRecord | undefined>()
    const podOf = (address: string) => {
      if (!pods.has(address)) pods.set(address, context.podOf(address))
      return pods.get(address)
    }
    tell(watch, happened, podOf)
    if (watch.lost) report(FLOW_LOST, {})
    watch.lost = false
  }

  function tell(
    watch: Watch,
    happened: readonly Happened[],
    podOf: (address: string) => PodRecord | undefined,
    isLast = false,
  ) {
    const merged = createMergedFlows()
    for (const { event, connection, at } of happened) {
      const key = connection.key.toString('latin1')
      const before = watch.open.get(key)
      // What was there is listed beside what begins at that moment.
      if (event === 'began' && before) continue
      if (event === 'ended') {
        if (!isLast && watch.told.delete(key)) continue
        watch.open.delete(key)
      }
      const flows = flowsOf(connection, podOf, before?.name)
      if (event === 'began') {
        if (flows.length === 0) continue
        const name = flows.find((flow) => flow.name !== undefined)?.name
        const pods = flows.map(({ pod: { sandboxId } }) => sandboxId)
        if (watch.open.size < mostOpen) watch.open.set(key, { connection, start: at, name, pods })
        else watch.lost = true
        for (const flow of flows) merged.began(flow, at)
      } else for (const flow of flows) merged.ended(flow, connection, before?.start, at)
    }
    for (const flow of merged.allowed()) report(FLOW_ALLOWED, flow)
    for (const flow of merged.closed()) report(FLOW_CLOSED, flow)
  }

  /** A connection between two pods is one of each. */
  function flowsOf(
    connection: Connection,
    podOf: (address: string) => PodRecord | undefined,
    knownName: string | undefined,
  ): FlowEnds[] {
    const { original, reply } = connection
    const pods = new Set([podOf(original.source), podOf(reply.source)])
    return [...pods].flatMap((pod) => {
      if (!pod) return []
      const own = pod.addresses.map(({ address }) => address)
      return triedBy(connection, own).flatMap(({ direction, address, protocol, port }) => {
        // What the pod asked some name server, and was led to the resolver: names that are denied are told.
        const isAsked = original.destinationPort === DNS_PORT && port !== DNS_PORT
        if (isAsked && pod.addresses.some(({ gateway }) => gateway === address)) return []
        const name =
          direction === 'egress' ? (knownName ?? context.nameOf(pod.sandboxId, address)) : undefined
        return {
          pod: podRef(pod),
          direction,
          protocol: protocolName(protocol),
          address,
          ...(port === undefined ? {} : { port }),
          ...(name === undefined ? {} : { name }),
        }
      })
    })
  }

  /** Takes in what the kernel has told already, and tells it. */
  async function catchUp(watch: Watch) {
    let idle = 0
    for (let turn = 0; turn < mostTurns && idle < 2; turn++) {
      const before = watch.heard
      await nextTurn()
      idle = watch.heard === before ? idle + 1 : 0
    }
    if (watching === watch) flush()
  }

  /** Has the kernel forget a connection; returns all that went by it, or undefined where it was forgotten already, which is told. */
  function forget({ netlink }: Watch, connection: Connection): Connection | undefined {
    try {
      const last = netlink.runSync(conntrack.get(connection))
      netlink.runSync(conntrack.del(connection))
      return last
    } catch (error) {
      ignoring('ENOENT')(error)
      return undefined
    }
  }

  return {
    async watch(isWanted) {
      if (isWanted && !watching) await start()
      if (isWanted || !watching) return
      await catchUp(watching)
      stop()
    },
    async end(pod) {
      const watch = watching
      if (!watch) return
      // What was heard is of the pod as long as its addresses are.
      await catchUp(watch)
      if (watch.told.size > mostOpen) watch.told.clear()
      const at = Date.now()
      const own = [...watch.open].filter(([, { pods }]) => pods.includes(pod.sandboxId))
      const ended: Happened[] = []
      for (const [index, [key, { connection }]] of own.entries()) {
        if (index % 256 === 255) await nextTurn()
        if (watching !== watch) return
        const last = forget(watch, connection)
        if (!last) continue
        watch.told.add(key)
        ended.push({ event: 'ended', connection: last, at })
      }
      tell(watch, ended, context.podOf, true)
    },
    close: stop,
  }
}
