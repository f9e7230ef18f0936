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

/** Addresses in network order, a character for each byte: what there are ten thousands of, is compared, and is seldom sent. */
export type Keys = ReadonlySet<string>

/** The sets of a policy that hold pods. */
export const podSets = (policy: KernelPolicy): MemberSet[] =>
  memberSets(policy).filter(({ group }) => group.kind === 'pods')

type Selectors = readonly (string | PodSelector)[]

/** The addresses of those of the pods that are selected. */
export const selectedKeys = (pods: readonly PodOfRules[], selectors: Selectors, family: IpFamily) =>
  new Set(pods.filter((pod) => isSelected(selectors, pod)).flatMap((pod) => keysOf(pod, family)))

/** The same of however many, in pieces that let the event loop go on. */
export async function selectedKeysOfMany(
  pods: readonly PodOfRules[],
  selectors: Selectors,
  family: IpFamily,
): Promise<Set<string>> {
  const found = new Set<string>()
  for (const piece of inPieces(pods)) {
    if (found.size > 0) await nextTurn()
    for (const key of selectedKeys(piece, selectors, family)) found.add(key)
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
  new Set(firewall.ask((table) => elements.keys({ ...table, set })).map((key) => key.toString('latin1')))

/** What one of the two has and the other has not. */
export const without = (some: Iterable<string>, others: { has(key: string): boolean }): string[] =>
  [...some].filter((key) => !others.has(key))

/** Takes addresses out of a set, all of which are in it, and puts others in. */
export const exchanged = (ref: SetRef, went: Iterable<string>, came: Iterable<string>): Change[] => [
  ...elements.del(ref, asElements(went)),
  ...elements.add(ref, asElements(came)),
]

/** Whether a policy allows less than before where these leave one of its sets, and those come into it. */
export const isNarrowing = (
  { list }: Pick<MemberSet, 'list'>,
  went: readonly string[],
  came: readonly string[],
) => (list === 'allow' ? went : came).length > 0

export const asElements = (keys: Iterable<string>) => [...keys].map((key) => ({ key: bytesOf(key) }))

export const bytesOf = (key: string) => Buffer.from(key, 'latin1')

/** A pod's addresses of a family. */
export function keysOf({ addresses }: Pick<PodOfRules, 'addresses'>, family: IpFamily): readonly string[] {
  const known = keysOfAddresses.get(addresses) ?? { 4: encoded(addresses, 4), 6: encoded(addresses, 6) }
  keysOfAddresses.set(addresses, known)
  return known[family]
}

/** Pods of other nodes are asked for theirs again and again. */
const keysOfAddresses = new WeakMap<PodOfRules['addresses'], Readonly<Record<IpFamily, readonly string[]>>>()

const encoded = (addresses: PodOfRules['addresses'], family: IpFamily) =>
  addresses
    .filter(({ address }) => familyOf(address) === family)
    .map(({ address }) => encodeIp(address).toString('latin1'))
