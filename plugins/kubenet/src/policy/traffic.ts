import type { PolicyRule } from '@podwire/api'
import type { IpFamily } from '../ipam/cidr.ts'

/** From the first to the last, both included. */
export type Range = readonly [first: number, last: number]

/** Packets of these protocols to these ports; where a protocol has no ports, they are all of them. */
export interface Traffic {
  readonly protocols: Range
  readonly ports: Range
}

export const ALL_PROTOCOLS: Range = [0, 255]
export const ALL_PORTS: Range = [0, 65_535]
export const ALL_TRAFFIC: Traffic = { protocols: ALL_PROTOCOLS, ports: ALL_PORTS }

const TCP = 6
const UDP = 17
const numbers = { tcp: TCP, udp: UDP, sctp: 132 } as const
const DNS_PORT = 53

/** Which packets of a family a rule is about, whoever is at the other end. */
export function trafficOf({ ports, protocol, set }: PolicyRule, family: IpFamily): Traffic[] {
  if (set === 'dns') return [TCP, UDP].map((number) => toPorts(number, [DNS_PORT, DNS_PORT]))
  if (!ports) return [protocol ? toPorts(numberOf(protocol, family), ALL_PORTS) : ALL_TRAFFIC]
  const protocols = protocol ? [numberOf(protocol, family)] : [TCP, UDP]
  return protocols.flatMap((number) => ports.map((port) => toPorts(number, parsePorts(port))))
}

const toPorts = (number: number, ports: Range): Traffic => ({ protocols: [number, number], ports })

const numberOf = (protocol: NonNullable<PolicyRule['protocol']>, family: IpFamily) =>
  protocol === 'icmp' ? (family === 4 ? 1 : 58) : numbers[protocol]

/** `443` or `'8000-8100'`. @throws Error for what is neither */
function parsePorts(ports: number | string): Range {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(ports)) ?? []
  const range: Range = [Number(first), Number(last)]
  if (!first || range[0] < 1 || range[1] > 65_535 || range[0] > range[1])
    throw new Error(`ports ${JSON.stringify(ports)} are not from 1 to 65535`)
  return range
}

/**
 * What of the allowed traffic is not denied, in pieces that have no packet in common.
 */
export function subtractTraffic(allowed: readonly Traffic[], denied: readonly Traffic[]): Traffic[] {
  const cuts = [...allowed, ...denied].flatMap(({ protocols: [first, last] }) => [first, last + 1])
  const starts = [...new Set(cuts)].sort((a, b) => a - b)
  const pieces: { protocols: [number, number]; ports: Range[] }[] = []
  for (const [index, start] of starts.entries()) {
    const end = (starts[index + 1] ?? start + 1) - 1
    const portsAt = (all: readonly Traffic[]) =>
      all.filter(({ protocols }) => protocols[0] <= start && end <= protocols[1]).map(({ ports }) => ports)
    const ports = subtractRanges(mergeRanges(portsAt(allowed)), mergeRanges(portsAt(denied)))
    const previous = pieces.at(-1)
    if (previous && previous.protocols[1] === start - 1 && String(previous.ports) === String(ports))
      previous.protocols[1] = end
    else pieces.push({ protocols: [start, end], ports })
  }
  return pieces.flatMap(({ protocols, ports }) => ports.map((range) => ({ protocols, ports: range })))
}

function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: [number, number][] = []
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const previous = merged.at(-1)
    if (previous && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last)
    else merged.push([first, last])
  }
  return merged
}

/** Both sorted, and each without overlaps. */
function subtractRanges(ranges: readonly Range[], holes: readonly Range[]): Range[] {
  return ranges.flatMap(([first, last]) => {
    const left: Range[] = []
    let from = first
    for (const [start, end] of holes) {
      if (end < from || start > last) continue
      if (start > from) left.push([from, start - 1])
      from = end + 1
    }
    if (from <= last) left.push([from, last])
    return left
  })
}
