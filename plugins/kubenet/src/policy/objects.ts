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
import { be16, encodeIp, u8 } from '@podwire/netlink/transport'
import { layouts, setNames } from '../firewall/layout.ts'
import type { Rule } from '../firewall/rules.ts'
import type { IpFamily } from '../ipam/cidr.ts'
import type { Box } from './boxes.ts'
import { type CompiledPolicy, type CompiledSide, type Direction, directions, type Group } from './compile.ts'
import { beginsInTheMiddle, type GroupSets, type PolicedPod, rulesOf } from './rules.ts'

/** An element of a group, in network order. */
export interface Member {
  readonly address: Buffer
  /** In milliseconds; undefined: it stays. */
  readonly timeout?: number
}

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
export type MembersOf = (of: MemberSet) => readonly Member[]

/** All that the kernel has of one pod's policy: names end with what tells its link from others. */
export interface PolicyObjects {
  readonly sets: readonly {
    readonly name: string
    readonly set: NewSet
    readonly elements: readonly Element[]
  }[]
  readonly chains: readonly { readonly name: string; readonly rules: readonly Rule[] }[]
  /** The way of the pod's packets through all that. */
  readonly entries: readonly { readonly map: string; readonly element: Element }[]
}

/** What the names of all objects of a pod end with. */
export const suffixOf = (link: string) => `-${link}`

const boxSet = (direction: Direction, family: IpFamily, link: string) =>
  `${direction}-${family}${suffixOf(link)}`
const undeniedSet = (direction: Direction, family: IpFamily, link: string) =>
  `${direction}-undenied-${family}${suffixOf(link)}`

/** The set that holds a group's members. */
export const groupSet = (
  direction: Direction,
  list: 'allow' | 'deny',
  index: number,
  family: IpFamily,
  link: string,
) => `${direction}-${list}-${index}-${family}${suffixOf(link)}`

/** The groups of a policy that have members. */
export function memberSets(policy: CompiledPolicy, { link, families }: PolicedPod): MemberSet[] {
  return directions.flatMap((direction) =>
    (['allow', 'deny'] as const).flatMap((list) =>
      (policy[direction]?.[list] ?? []).flatMap((group, index) =>
        hasMembers(group)
          ? families.map((family) => ({
              direction,
              list,
              index,
              group,
              family,
              set: groupSet(direction, list, index, family, link),
            }))
          : [],
      ),
    ),
  )
}

const hasMembers = ({ kind }: Group) => kind === 'pods' || kind === 'names'

// More addresses than this no pod needs at a time, and no answer of a name server fills the kernel's memory.
const MOST_MEMBERS = 16_384

export function objectsOf(pod: PolicedPod, policy: CompiledPolicy, membersOf: MembersOf): PolicyObjects {
  const { link, families, resolver } = pod
  const limited = directions.filter((direction) => policy[direction])
  const sides = limited.flatMap((direction) => {
    const side = policy[direction]
    return side ? [{ direction, side }] : []
  })
  // What one side cuts, the other end must not bring to life by the other side.
  const guarded = limited.length > 0 ? directions : []
  return {
    sets: [
      ...sides.flatMap(({ direction, side }) =>
        families.flatMap((family) => [
          boxesIn(boxSet(direction, family, link), side.boxes[family], family),
          ...(side.undenied
            ? [boxesIn(undeniedSet(direction, family, link), side.undenied[family], family)]
            : []),
        ]),
      ),
      ...memberSets(policy, pod).map((of) => ({
        name: of.set,
        set: {
          key: layouts[of.family].address,
          size: MOST_MEMBERS,
          ...(of.group.kind === 'names' ? { timeout: 0 } : {}),
        },
        elements: membersOf(of).map(({ address, timeout }) => ({ key: address, timeout })),
      })),
    ],
    chains: guarded.map((direction) => {
      const side = policy[direction]
      return {
        name: chainOf(direction, link),
        rules: [
          beginsInTheMiddle,
          ...(side ? rulesOf({ direction, side, pod, sets: setsFor(direction, side, link) }) : []),
        ],
      }
    }),
    entries: [
      ...guarded.map((direction) => ({
        map: direction,
        element: { key: linkName(link), value: { jump: chainOf(direction, link) } },
      })),
      ...(resolver?.addresses ?? []).map((address) => ({
        map: setNames(address.includes(':') ? 6 : 4).resolvers,
        element: { key: linkName(link), value: concatenate(encodeIp(address), be16(resolver?.port ?? 0)) },
      })),
    ],
  }
}

const chainOf = (direction: Direction, link: string) => `${direction}${suffixOf(link)}`

const setsFor = (direction: Direction, side: CompiledSide, link: string): GroupSets => ({
  boxes: (family) => boxSet(direction, family, link),
  undenied: (family) => (side.undenied ? undeniedSet(direction, family, link) : undefined),
  group: (list, index, family) => groupSet(direction, list, index, family, link),
})

function boxesIn(name: string, boxes: readonly Box[], family: IpFamily) {
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

/**
 * Makes the objects, the link's way through them last.
 * @param verb `create` fails where they are there already: `EEXIST`
 */
export function additions(table: TableRef, objects: PolicyObjects, verb: 'add' | 'create' = 'add'): Change[] {
  const setRef = (set: string): SetRef => ({ ...table, set })
  return [
    ...objects.sets.flatMap(({ name, set, elements: own }) => [
      sets[verb](setRef(name), set),
      ...elements.add(setRef(name), own),
    ]),
    ...objects.chains.flatMap(({ name, rules }) => [
      chains[verb]({ ...table, chain: name }),
      ...rules.map((rule) => nftRules.add({ ...table, chain: name }, rule)),
    ]),
    ...objects.entries.flatMap(({ map, element }) => elements.add(setRef(map), [element])),
  ]
}

/** Takes the objects away. Errors: `ENOENT` where one isn't there. */
export function removals(
  table: TableRef,
  { sets: own, chains: ownChains, entries }: PolicyObjects,
): Change[] {
  return [
    ...entries.flatMap(({ map, element }) => elements.del({ ...table, set: map }, [{ key: element.key }])),
    ...ownChains.map(({ name }) => chains.del({ ...table, chain: name })),
    ...own.map(({ name }) => sets.del({ ...table, set: name })),
  ]
}
