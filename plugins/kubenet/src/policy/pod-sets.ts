import { setImmediate as nextTurn } from 'node:timers/promises'
import type { PodSelector } from '@podwire/api'
import { type Change, elements, type SetRef } from '@podwire/netlink/nftables'
import { encodeIp } from '@podwire/netlink/transport'
import type { Firewall } from '../firewall/firewall.ts'
import { familyOf, type IpFamily } from '../ipam/cidr.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import { type MemberSet, memberSets } from './objects.ts'
import { isSelected, type SelectablePod } from './selectors.ts'

/** Whom a rule about pods may be about: of this node or another one. */
export interface PodOfRules extends SelectablePod {
  readonly addresses: readonly { readonly address: string }[]
}

/** Addresses, in network order, by what tells them apart. */
export type Keys = ReadonlyMap<string, Buffer>

/** The sets of a policy that hold pods. */
export const podSets = (policy: KernelPolicy): MemberSet[] =>
  memberSets(policy).filter(({ group }) => group.kind === 'pods')

/** An address that two pods are said to have is one. */
export const byKey = (addresses: readonly Buffer[]): Map<string, Buffer> =>
  new Map(addresses.map((address) => [keyOf(address), address]))

export const keyOf = (address: Buffer) => address.toString('latin1')

type Selectors = readonly (string | PodSelector)[]

/** The addresses of those of the pods that are selected. */
export const selectedKeys = (pods: readonly PodOfRules[], selectors: Selectors, family: IpFamily) =>
  byKey(pods.filter((pod) => isSelected(selectors, pod)).flatMap((pod) => addressesOf(pod, family)))

/** The same of however many, in pieces that let the event loop go on. */
export async function selectedKeysOfMany(
  pods: readonly PodOfRules[],
  selectors: Selectors,
  family: IpFamily,
): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>()
  for (const piece of inPieces(pods)) {
    if (found.size > 0) await nextTurn()
    for (const [key, address] of selectedKeys(piece, selectors, family)) found.set(key, address)
  }
  return found
}

/** So many are worked on in one turn of the event loop: some milliseconds. */
export const PIECE = 1_000

export function* inPieces<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < all.length; start += PIECE) yield all.slice(start, start + PIECE)
}

/** What the kernel has in a set. Errors: `ENOENT` */
export const keysInKernel = (firewall: Firewall, set: string): Keys =>
  byKey(firewall.ask((table) => elements.keys({ ...table, set })))

/** What one of the two has and the other has not. */
export const without = (some: Keys, others: { has(key: string): boolean }): Buffer[] =>
  [...some].flatMap(([key, address]) => (others.has(key) ? [] : [address]))

/** Takes addresses out of a set, all of which are in it, and puts others in. */
export const exchanged = (ref: SetRef, went: readonly Buffer[], came: readonly Buffer[]): Change[] => [
  ...(went.length > 0 ? elements.del(ref, asElements(went)) : []),
  ...(came.length > 0 ? elements.add(ref, asElements(came)) : []),
]

export const asElements = (keys: Iterable<Buffer>) => [...keys].map((key) => ({ key }))

/** A pod's addresses of a family, in network order. */
export const addressesOf = ({ addresses }: Pick<PodOfRules, 'addresses'>, family: IpFamily): Buffer[] =>
  addresses.filter(({ address }) => familyOf(address) === family).map(({ address }) => encodeIp(address))
