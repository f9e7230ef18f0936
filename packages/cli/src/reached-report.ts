import type { AllowedFlow, ClosedFlow, FlowTraffic, PodRef } from '@podwire/api'
import type { NetworkHost } from '@podwire/core'
import { printNote } from './output.ts'
import { type Peer, peerText } from './peer.ts'

/** What a pod reached, or who reached it: connections of one kind together. */
export interface ReachedFlow extends Peer {
  readonly address: string
  readonly connections: number
  /** By the pod, and to it; absent where the kernel did not count. */
  readonly sent?: FlowTraffic
  readonly received?: FlowTraffic
}

export interface ReachedWatch {
  /** Of one pod: a daemon tells of everybody's. */
  of(pod: PodRef): readonly ReachedFlow[]
  /** Whether more was reached than could be told. */
  readonly isIncomplete: boolean
  /** Watches no more; resolves when all that happened before was heard. */
  end(): Promise<void>
}

/** More kinds than this are not told apart. */
const mostKinds = 4_096

/** Watches allowed flows from now on; undefined where the network plugin tells of none. */
export async function watchReached(host: NetworkHost): Promise<ReachedWatch | undefined> {
  if (!(await host.plugin()).capabilities().includes('policy')) return undefined
  const kinds = new Map<string, ReachedFlow & { readonly sandboxId: string }>()
  let isIncomplete = false

  function add(flow: AllowedFlow, change: (before: ReachedFlow) => Partial<ReachedFlow>) {
    const { pod, direction, protocol, address, port, name } = flow
    const { sandboxId } = pod
    const kind = {
      sandboxId,
      direction,
      protocol,
      address,
      ...(port === undefined ? {} : { port }),
      ...(name === undefined ? {} : { name }),
    }
    const key = JSON.stringify(kind)
    const before = kinds.get(key) ?? { ...kind, connections: 0 }
    if (kinds.has(key) || kinds.size < mostKinds) kinds.set(key, { ...before, ...change(before) })
    else isIncomplete = true
  }

  host.events.on('flow:allowed', (flow) =>
    add(flow, ({ connections }) => ({ connections: connections + flow.count })),
  )
  host.events.on('flow:closed', ({ sent, received, ...flow }: ClosedFlow) =>
    add(flow, (before) => ({
      // One whose begin was not heard has been there all the same.
      connections: Math.max(before.connections, 1),
      ...(sent && received ? { sent: sum(before.sent, sent), received: sum(before.received, received) } : {}),
    })),
  )
  host.events.on('flow:lost', () => {
    isIncomplete = true
  })
  host.events.on('events:dropped', () => {
    isIncomplete = true
  })
  const end = await host.watchFlows()
  return {
    of: (pod) =>
      [...kinds.values()].flatMap(({ sandboxId, ...flow }) => (sandboxId === pod.sandboxId ? [flow] : [])),
    get isIncomplete() {
      return isIncomplete
    },
    end,
  }
}

const sum = (one: FlowTraffic | undefined, other: FlowTraffic): FlowTraffic => ({
  bytes: (one?.bytes ?? 0) + other.bytes,
  packets: (one?.packets ?? 0) + other.packets,
})

/** For people, on stderr. */
export function printReached(flows: readonly ReachedFlow[], isIncomplete: boolean): void {
  if (flows.length === 0) printNote('nothing was reached')
  for (const { connections, sent, received, ...peer } of flows) {
    const times = connections === 1 ? 'once' : `${connections} times`
    printNote(`reached ${times}: ${peerText(peer)}${trafficText(sent, received)}`)
  }
  if (isIncomplete) printNote('more was reached than could be told')
}

/** `, 1.2 kB sent, 34.5 MB received` */
export function trafficText(sent: FlowTraffic | undefined, received: FlowTraffic | undefined): string {
  return sent && received ? `, ${bytesText(sent.bytes)} sent, ${bytesText(received.bytes)} received` : ''
}

function bytesText(bytes: number): string {
  const units = ['kB', 'MB', 'GB', 'TB']
  let text = `${bytes} B`
  for (let value = bytes / 1000, index = 0; value >= 1 && index < units.length; value /= 1000, index++)
    text = `${value.toFixed(1)} ${units[index]}`
  return text
}
