import {
  type Change,
  chains,
  concatenate,
  type Element,
  elements,
  linkName,
  type NewSet,
  rules as nftRules,
  type SetRef,
  sets,
  type TableRef,
} from '@podwire/netlink/nftables'
import { be16, u8 } from '@podwire/netlink/transport'
import { layouts } from '../firewall/layout.ts'
import type { Rule } from '../firewall/rules.ts'
import type { IpFamily } from '../ipam/cidr.ts'
import type { Box } from './boxes.ts'
import { type CompiledSide, type Direction, directions, type Group } from './compile.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import { beginsInTheMiddle, type GroupSets, rulesOf } from './rules.ts'

/** A group of a policy that has members: where it stands in the policy, and its set. */
export interface MemberSet {
  readonly direction: Direction
  readonly list: 'allow' | 'deny'
  readonly index: number
  readonly group: Group
  readonly family: IpFamily
  readonly set: string
}

/** Who belongs to a group now. */
export type MembersOf = (of: MemberSet) => readonly Element[]

export interface PolicySet {
  readonly name: string
  readonly set: NewSet
  readonly elements: readonly Element[]
}

type GroupOfPolicy = PolicySet & Pick<MemberSet, 'group'>

/** All that the kernel has of a policy. */
export interface PolicyObjects {
  /** What the policy says of addresses. */
  readonly boxes: readonly PolicySet[]
  /** Groups of pods, and of what names lead to. */
  readonly groups: readonly GroupOfPolicy[]
  readonly chains: readonly { readonly name: string; readonly rules: readonly Rule[] }[]
}

const boxSet = (direction: Direction, family: IpFamily, suffix: string) => `${direction}-${family}${suffix}`
const undeniedSet = (direction: Direction, family: IpFamily, suffix: string) =>
  `${direction}-undenied-${family}${suffix}`

/** The set that holds a group's members. */
export const groupSet = (
  direction: Direction,
  list: 'allow' | 'deny',
  index: number,
  family: IpFamily,
  { suffix }: Pick<KernelPolicy, 'suffix'>,
) => `${direction}-${list}-${index}-${family}${suffix}`

/** The groups of a policy that have members. */
export function memberSets(of: KernelPolicy): MemberSet[] {
  return directions.flatMap((direction) =>
    (['allow', 'deny'] as const).flatMap((list) =>
      (of.policy[direction]?.[list] ?? []).flatMap((group, index) =>
        hasMembers(group)
          ? of.families.map((family) => ({
              direction,
              list,
              index,
              group,
              family,
              set: groupSet(direction, list, index, family, of),
            }))
          : [],
      ),
    ),
  )
}

const hasMembers = ({ kind }: Group) => kind === 'pods' || kind === 'names'

/** An address that names lead to belongs to the pod that asked for them. */
export const ledTo = (link: string, address: Uint8Array) => concatenate(linkName(link), address)

// All pods of a policy together are led to no more addresses: 256 of them, were each led to as many as it can.
const MOST_LED_TO = 1 << 20

export function objectsOf(of: KernelPolicy, membersOf: MembersOf): PolicyObjects {
  return { ...fixedOf(of), groups: memberSets(of).map((set) => groupOf(set, membersOf)) }
}

export const groupOf = (set: MemberSet, membersOf: MembersOf): GroupOfPolicy => ({
  name: set.set,
  group: set.group,
  set: groupLayout(set),
  elements: membersOf(set),
})

function groupLayout({ group, family }: MemberSet): NewSet {
  const { address } = layouts[family]
  return group.kind === 'names'
    ? { key: ['ifname', address], size: MOST_LED_TO, timeout: 0 }
    : // It may have the pods of all nodes, and mostly has few: without a size the kernel lets it grow.
      { key: address }
}

export type Fixed = Omit<PolicyObjects, 'groups'>

/** What depends on nothing but the policy is made once: pods of one policy come again and again. */
export function fixedOf(of: KernelPolicy): Fixed {
  const made = known.get(of) ?? makeFixed(of)
  known.set(of, made)
  return made
}

const known = new WeakMap<KernelPolicy, Fixed>()

function makeFixed(of: KernelPolicy): Fixed {
  const { policy, families, suffix } = of
  const sides = directions.flatMap((direction) => {
    const side = policy[direction]
    return side ? [{ direction, side }] : []
  })
  return {
    boxes: sides.flatMap(({ direction, side }) =>
      families.flatMap((family) => [
        boxesIn(boxSet(direction, family, suffix), side.boxes[family], family),
        ...(side.undenied
          ? [boxesIn(undeniedSet(direction, family, suffix), side.undenied[family], family)]
          : []),
      ]),
    ),
    // What one side cuts, the other end must not bring to life by the other side.
    chains: directions.map((direction) => {
      const side = policy[direction]
      return {
        name: chainOf(direction, of),
        rules: [
          beginsInTheMiddle,
          ...(side ? rulesOf({ direction, side, policy: of, sets: setsFor(direction, side, of) }) : []),
        ],
      }
    }),
  }
}

/** The chain that a pod's packets pass by on their way out, or in. */
export const chainOf = (direction: Direction, { suffix }: Pick<KernelPolicy, 'suffix'>) =>
  `${direction}${suffix}`

const setsFor = (direction: Direction, side: CompiledSide, of: KernelPolicy): GroupSets => ({
  boxes: (family) => boxSet(direction, family, of.suffix),
  undenied: (family) => (side.undenied ? undeniedSet(direction, family, of.suffix) : undefined),
  group: (list, index, family) => groupSet(direction, list, index, family, of),
})

function boxesIn(name: string, boxes: readonly Box[], family: IpFamily): PolicySet {
  const { address, bytes } = layouts[family]
  const set: NewSet = { key: [address, 'inet_proto', 'inet_service'], interval: true }
  const key = (value: bigint, protocol: number, port: number) =>
    concatenate(bytesOf(value, bytes), u8(protocol), be16(port))
  return {
    name,
    set,
    elements: boxes.map(({ first, last, protocols, ports }) => ({
      key: key(first, protocols[0], ports[0]),
      keyEnd: key(last, protocols[1], ports[1]),
    })),
  }
}

const bytesOf = (value: bigint, length: number) =>
  Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex')

/** Makes the objects as they should be, whatever of them is there. */
export function put(table: TableRef, { boxes, groups, chains: own }: PolicyObjects): Change[] {
  const setRef = (set: string): SetRef => ({ ...table, set })
  return [
    ...[...boxes, ...groups].map(({ name, set }) => sets.add(setRef(name), set)),
    ...[...boxes, ...groups].flatMap((of) => filled(table, of)),
    ...own.flatMap(({ name, rules }) => [
      chains.add({ ...table, chain: name }),
      nftRules.del({ ...table, chain: name }),
      ...rules.map((rule) => nftRules.add({ ...table, chain: name }, rule)),
    ]),
  ]
}

/** Gives a set its elements, and no others; what a pod was led to by a name stays. */
export function filled(table: TableRef, { name, set, elements: wanted }: PolicySet): Change[] {
  const ref: SetRef = { ...table, set: name }
  return [...(set.timeout === undefined ? [elements.flush(ref)] : []), ...elements.add(ref, wanted)]
}

/** Takes the objects away. Errors: `ENOENT` where one isn't there, `EBUSY` while a pod's packets are led there. */
export function removals(table: TableRef, of: KernelPolicy): Change[] {
  const { boxes, chains: own } = fixedOf(of)
  const names = [...boxes.map(({ name }) => name), ...memberSets(of).map(({ set }) => set)]
  return [
    ...own.map(({ name }) => chains.del({ ...table, chain: name })),
    ...names.map((set) => sets.del({ ...table, set })),
  ]
}
