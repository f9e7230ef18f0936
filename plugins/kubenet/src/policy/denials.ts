import { randomInt } from 'node:crypto'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { type DeniedFlow, errnoOf, type Logger, messageOf, type PolicyRule, podRef } from '@podwire/api'
import {
  type LoggedPacket,
  NETLINK_NETFILTER,
  type Netlink,
  nflogQueue,
  openNetlink,
  watchNflog,
} from '@podwire/netlink'
import type { PodRecord } from '../pod-record.ts'
import { compilePolicy } from './compile.ts'
import { passes, type Tried } from './connections.ts'
import { parseLogPrefix } from './log-prefix.ts'
import { parsePacket } from './packet.ts'
import { protocolName } from './protocols.ts'
import { isSelected } from './selectors.ts'

/** Tells what policies deny. */
export interface Denials {
  /** The nflog group that this process listens to, from the first call on; rules of pods that it sets up log there. */
  group(): number
  /** Listens to the group of an earlier process too, where nobody does any more: rules log there as long as their pods live. */
  takeUp(group: number): void
  /** Something that isn't a packet. */
  note(pod: PodRecord, flow: Pick<DeniedFlow, 'protocol' | 'port' | 'name' | 'rule' | 'address'>): void
  /** Tells what was denied until now: of a pod that goes, when its link is gone and before nobody knows it any more. */
  tell(): Promise<void>
  /** Tells what isn't told yet, and listens no more. */
  close(): void
}

interface DenialsContext {
  readonly log: Logger
  report(flow: DeniedFlow): void
  pods(): readonly PodRecord[]
  hostAddresses(): Promise<ReadonlySet<string>>
  /** The name that led a pod to an address. */
  nameOf(sandboxId: string, address: string): string | undefined
}

// A group has one listener, and each process needs its own. Small numbers are other software's.
const firstGroup = 20_000
const lastGroup = 60_000
const maxAttempts = 64

/** How long packets of one kind are gathered before they are told of together. Milliseconds. */
const gatheringMs = 250

/** The kernel collects packets for ten before it passes them on. Milliseconds. */
const loggingMs = 20
const lookingMs = 2

// More kinds at a time than this are not told apart.
const mostKinds = 4096

type Gathered = { -readonly [K in keyof DeniedFlow]: DeniedFlow[K] }

export function createDenials(context: DenialsContext): Denials {
  const { log, report } = context
  let netlink: Netlink | undefined
  let chosen: number | undefined
  let timer: NodeJS.Timeout | undefined
  const listened = new Set<number>()
  const controller = new AbortController()
  const gathered = new Map<string, Gathered>()
  const known = new Map<string, PodRecord>()
  let hosts: ReadonlySet<string> = new Set()

  /** Returns false where another process listens. */
  function listenTo(group: number): boolean {
    netlink ??= openNetlink({ protocol: NETLINK_NETFILTER })
    try {
      const packets = watchNflog(netlink, group, { ref: false, signal: controller.signal })
      follow(packets).catch((error) =>
        log.warn(`kubenet hears no more of what policies deny: ${messageOf(error)}`),
      )
      listened.add(group)
      return true
    } catch (error) {
      if (errnoOf(error) !== 'EPERM') throw error
      return false
    }
  }

  function listen(): number {
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      const group = randomInt(firstGroup, lastGroup)
      if (!listened.has(group) && listenTo(group)) return group
    }
    throw new Error(`none of ${maxAttempts} nflog groups is free`)
  }

  async function follow(packets: AsyncIterable<LoggedPacket>) {
    for await (const packet of packets) {
      if (!timer) {
        timer = setTimeout(flush, gatheringMs).unref()
        hosts = await context.hostAddresses()
      }
      gather(packet)
      // A flood must not keep the process from all else.
      if (packet.sequence % 64 === 63) await nextTurn()
    }
  }

  function gather({ prefix, packet, timestamp }: LoggedPacket) {
    const direction = parseLogPrefix(prefix)
    const headers = parsePacket(packet)
    if (!direction || !headers) return
    const isSent = direction === 'egress'
    // No pod sends under another one's address.
    const pod = podOf(isSent ? headers.source : headers.destination)
    if (!pod) return
    const tried: Tried = {
      direction,
      address: isSent ? headers.destination : headers.source,
      protocol: headers.protocol,
      port: headers.port,
      isPublished: false,
    }
    count(JSON.stringify([pod.sandboxId, tried]), new Date(timestamp ?? Date.now()), () => flowOf(pod, tried))
  }

  function count(key: string, when: Date, flow: () => Omit<DeniedFlow, 'count' | 'first' | 'last'>) {
    const at = when.toISOString()
    const before = gathered.get(key)
    if (before) {
      before.count++
      before.last = at
    } else if (gathered.size < mostKinds) gathered.set(key, { ...flow(), count: 1, first: at, last: at })
  }

  function flowOf(pod: PodRecord, tried: Tried): Omit<DeniedFlow, 'count' | 'first' | 'last'> {
    const name = context.nameOf(pod.sandboxId, tried.address)
    return {
      pod: podRef(pod),
      direction: tried.direction,
      protocol: protocolName(tried.protocol),
      address: tried.address,
      ...(tried.port === undefined ? {} : { port: tried.port }),
      ...(name === undefined ? {} : { name }),
      rule: ruleFor(pod, tried),
    }
  }

  /** Which rule says no; several may. */
  function ruleFor({ policy }: PodRecord, tried: Tried): string {
    const index = (policy?.[tried.direction]?.deny ?? []).findIndex((rule) => isAbout(rule, tried))
    return index === -1 ? 'default' : `deny[${index}]`
  }

  function isAbout(rule: PolicyRule, tried: Tried): boolean {
    const alone = compilePolicy({ [tried.direction]: { default: 'deny', allow: [rule] } })
    return passes(alone, tried, {
      isHost: (address) => hosts.has(address),
      has(direction, list, index, address) {
        const group = alone[direction]?.[list][index]
        const owner = known.get(address)
        return group !== undefined && owner !== undefined && isSelected(group.pods, owner)
      },
    })
  }

  function podOf(address: string): PodRecord | undefined {
    if (!known.has(address)) {
      known.clear()
      for (const pod of context.pods()) for (const own of pod.addresses) known.set(own.address, pod)
    }
    return known.get(address)
  }

  /** Who hears of nothing waits for nothing, and who can't know waits. */
  const isMoreToCome = () => [...listened].some((group) => nflogQueue(group) !== 0)

  function flush() {
    clearTimeout(timer)
    timer = undefined
    const flows = [...gathered.values()]
    gathered.clear()
    // What a policy says may be another by the next time.
    known.clear()
    for (const flow of flows) report(flow)
  }

  return {
    group() {
      chosen ??= listen()
      return chosen
    },
    takeUp(group) {
      if (!listened.has(group)) listenTo(group)
    },
    note(pod, flow) {
      timer ??= setTimeout(flush, gatheringMs).unref()
      count(JSON.stringify([pod.sandboxId, flow]), new Date(), () => ({
        pod: podRef(pod),
        direction: 'egress',
        ...flow,
      }))
    },
    async tell() {
      for (let waited = 0; waited < loggingMs && isMoreToCome(); waited += lookingMs) await sleep(lookingMs)
      // What the kernel has passed on is read by then.
      for (let turn = 0; turn < 2; turn++) await nextTurn()
      flush()
    },
    close() {
      flush()
      controller.abort()
      netlink?.close()
    },
  }
}
