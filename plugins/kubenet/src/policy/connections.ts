import type { Connection } from '@podwire/netlink'
import { addressToNumber, familyOf, type IpFamily } from '../ipam/cidr.ts'
import type { Box } from './boxes.ts'
import type { CompiledPolicy, Direction, Group } from './compile.ts'
import type { Traffic } from './traffic.ts'

/** What tells whether a group has an address, besides what stands in the policy. */
export interface Membership {
  /** Whether the set of a group holds the address now. */
  has(direction: Direction, list: 'allow' | 'deny', index: number, address: string): boolean
  isHost(address: string): boolean
}

/** A packet, or a connection, of a pod. */
export interface Tried {
  readonly direction: Direction
  /** The other end. */
  readonly address: string
  readonly protocol: number
  /** Of whoever is connected to. */
  readonly port: number | undefined
  /** Whether it came by a port that the pod publishes. */
  readonly isPublished: boolean
}

/** What a connection is for a pod of these addresses; it may be both a sender and, by a published port, its own receiver. */
export function triedBy({ original, reply }: Connection, addresses: readonly string[]): Tried[] {
  const tried = { protocol: original.protocol, port: reply.sourcePort }
  return [
    ...(addresses.includes(original.source)
      ? [{ ...tried, direction: 'egress' as const, address: reply.source, isPublished: false }]
      : []),
    ...(addresses.includes(reply.source)
      ? [
          {
            ...tried,
            direction: 'ingress' as const,
            address: original.source,
            isPublished: original.destination !== reply.source,
          },
        ]
      : []),
  ]
}

/** Whether the kernel's rules for this policy let it pass, if it began now. */
export function passes(policy: CompiledPolicy, tried: Tried, membership: Membership): boolean {
  const side = policy[tried.direction]
  const family = familyOf(tried.address)
  if (!side || !family) return true
  const isIn = (list: 'allow' | 'deny') =>
    side[list].some(
      (group, index) =>
        group.traffic[family].some((traffic) => isOf(traffic, tried)) &&
        isMember(group, tried, membership, list, index),
    )
  if (isIn('deny')) return false
  if (holds(side.boxes[family], tried)) return true
  return isIn('allow') && (!side.undenied || holds(side.undenied[family], tried))
}

function isMember(
  { kind }: Group,
  { direction, address, isPublished }: Tried,
  membership: Membership,
  list: 'allow' | 'deny',
  index: number,
): boolean {
  if (kind === 'gateway') return membership.isHost(address)
  if (kind === 'published') return isPublished
  return membership.has(direction, list, index, address)
}

function holds(boxes: readonly Box[], tried: Tried): boolean {
  const value = addressToNumber(tried.address)
  return boxes.some((box) => box.first <= value && value <= box.last && isOf(box, tried))
}

/** Without a port every one will do, as of protocols that have none. */
const isOf = ({ protocols, ports }: Traffic, { protocol, port }: Tried) =>
  protocols[0] <= protocol &&
  protocol <= protocols[1] &&
  (port === undefined || (ports[0] <= port && port <= ports[1]))

/** The families of these addresses. */
export const familiesOf = (addresses: readonly string[]): IpFamily[] => [
  ...new Set(addresses.flatMap((address) => familyOf(address) ?? [])),
]
