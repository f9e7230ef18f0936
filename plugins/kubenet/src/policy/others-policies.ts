import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PodSelector } from '@podwire/api'
import { namesIn, removeIfThere } from '@podwire/api/files'
import { type Change, elements, sets, type TableRef } from '@podwire/netlink/nftables'
import { encodeIp } from '@podwire/netlink/transport'
import type { Firewall } from '../firewall/firewall.ts'
import { familyOf, type IpFamily } from '../ipam/cidr.ts'
import type { PodRecord } from '../pod-record.ts'
import { directions } from './compile.ts'
import { removed } from './in-kernel.ts'
import type { Member, MemberSet } from './objects.ts'
import { isSelected, type SelectablePod } from './selectors.ts'

/** Whom a rule about pods may be about: of this node or another one. */
export interface PodOfRules extends SelectablePod {
  readonly addresses: readonly { readonly address: string }[]
}

/** What becomes of policies when pods of other nodes come and go. */
interface Exchange {
  /** In pieces, a transaction each, by a look at what is there: each set is right by itself. */
  readonly changes: readonly ((table: TableRef) => Change[])[]
  /** Whose policy allows less than before. */
  readonly narrowed: readonly PodRecord[]
}

/**
 * Pods in the policies of others: a policy may speak of pods that come and go, so that each of them enters the sets of those
 * policies, and leaves them.
 */
export interface OthersPolicies {
  /** Remembers whether a pod's policy speaks of other pods. Most hosts have none that does, and need not look through all records. */
  announce(pod: PodRecord): void
  withdraw(sandboxId: string): void
  /** Whether no policy speaks of other pods. */
  areNone(): boolean
  /** Into the sets that a pod belongs to, and out of those that it doesn't. */
  join(table: TableRef, pod: PodRecord): Change[]
  leave(table: TableRef, pod: PodRecord): Change[]
  /** Takes pods of other nodes out of the sets that they don't belong to any more, and puts the new ones into theirs. */
  exchange(before: readonly PodOfRules[], after: readonly PodOfRules[]): Exchange
}

interface OthersPoliciesContext {
  readonly firewall: Firewall
  readonly stateDir: string
  /** Undefined for what isn't there or can't be read. */
  read(sandboxId: string): PodRecord | undefined
  memberSets(pod: PodRecord): readonly MemberSet[]
  /** The pods of this node. */
  own(): readonly PodOfRules[]
}

/** So many elements are changed in a transaction, but for those of one set, which are not cut in two. */
const mostElements = 4_000

export function createOthersPolicies(context: OthersPoliciesContext): OthersPolicies {
  const { firewall, read, memberSets } = context
  const selecting = join(context.stateDir, 'selecting')

  /** The pods whose policies speak of others. */
  const speakers = () =>
    namesIn(selecting)
      .flatMap((sandboxId) => read(sandboxId) ?? [])
      .filter((one) => one.policy && isPresent(one))

  function setsWith(
    record: PodRecord,
  ): { readonly set: string; readonly keys: readonly Buffer[]; readonly isMember: boolean }[] {
    return speakers()
      .filter(({ sandboxId }) => sandboxId !== record.sandboxId)
      .flatMap((other) =>
        memberSets(other)
          .filter(({ group }) => group.kind === 'pods')
          .map(({ group, family, set }) => ({
            set,
            keys: addressesOf(record, family).map(({ address }) => address),
            isMember: isSelected(group.pods, record),
          })),
      )
      .filter(({ keys }) => keys.length > 0)
  }

  return {
    announce({ sandboxId, policy }) {
      const speaksOfPods = directions.some((direction) =>
        [...(policy?.[direction]?.allow ?? []), ...(policy?.[direction]?.deny ?? [])].some(
          ({ pod }) => pod !== undefined,
        ),
      )
      if (!speaksOfPods) return removeIfThere(join(selecting, sandboxId))
      mkdirSync(selecting, { recursive: true, mode: 0o700 })
      writeFileSync(join(selecting, sandboxId), '')
    },
    withdraw: (sandboxId) => removeIfThere(join(selecting, sandboxId)),
    areNone: () => namesIn(selecting).length === 0,
    join: (table, record) =>
      setsWith(record).flatMap(({ set, keys, isMember }) => {
        const ref = { ...table, set }
        if (!isMember) return removed(firewall, ref, keys)
        return elements.add(
          ref,
          keys.map((key) => ({ key })),
        )
      }),
    leave: (table, record) =>
      setsWith(record).flatMap(({ set, keys }) => removed(firewall, { ...table, set }, keys)),
    exchange(before, after) {
      const all = speakers()
      if (all.length === 0) return { changes: [], narrowed: [] }
      // A pod of this node may have an address that is another's by now, and keeps its place.
      const own = context.own()
      // Of a policy that is on its way into the kernel there may be none yet: it comes with these members.
      const there = new Set(firewall.ask(sets.list).map(({ set }) => set))
      // Sandboxes of one kind have one policy, which is compiled once: who is in it is looked at once too.
      const known = new Map<unknown, Partial<Record<IpFamily, Difference>>>()
      const difference = (selectors: readonly (string | PodSelector)[], family: IpFamily): Difference => {
        const ofBoth = known.get(selectors) ?? {}
        known.set(selectors, ofBoth)
        ofBoth[family] ??= differenceOf(before, after, own, selectors, family)
        return ofBoth[family]
      }
      const changed = new Set<string>()
      const pieces: { size: number; readonly sets: (Difference & { readonly set: string })[] }[] = []
      const narrowed = new Set<PodRecord>()
      for (const record of all)
        for (const { set, group, family, list } of context.memberSets(record)) {
          if (group.kind !== 'pods' || !there.has(set)) continue
          const { came, went } = difference(group.pods, family)
          if ((list === 'allow' ? went : came).length > 0) narrowed.add(record)
          const size = came.length + went.length
          if (changed.has(set) || size === 0) continue
          changed.add(set)
          if (pieces.length === 0 || pieces.at(-1)!.size + size > mostElements)
            pieces.push({ size: 0, sets: [] })
          const piece = pieces.at(-1)!
          piece.size += size
          piece.sets.push({ set, came, went })
        }
      const changes = pieces.map(
        ({ sets: some }) =>
          (table: TableRef) =>
            some.flatMap(({ set, came, went }) => {
              const ref = { ...table, set }
              const added = came.map((key) => ({ key }))
              return [...removed(firewall, ref, went), ...(added.length > 0 ? elements.add(ref, added) : [])]
            }),
      )
      return { changes, narrowed: [...narrowed] }
    },
  }
}

/** A pod that is being torn down belongs to nobody's policy. */
export const isPresent = ({ leaving }: PodRecord) => !leaving

/** What a group of pods has of those that come and go. */
interface Difference {
  readonly came: readonly Buffer[]
  readonly went: readonly Buffer[]
}

function differenceOf(
  before: readonly PodOfRules[],
  after: readonly PodOfRules[],
  own: readonly PodOfRules[],
  selectors: readonly (string | PodSelector)[],
  family: IpFamily,
): Difference {
  const keysOf = (pods: readonly PodOfRules[]) => keysIn(pods, selectors, family)
  const [had, has, stays] = [keysOf(before), keysOf(after), keysOf(own)]
  return {
    came: [...has].flatMap(([key, address]) => (had.has(key) ? [] : [address])),
    went: [...had].flatMap(([key, address]) => (has.has(key) || stays.has(key) ? [] : [address])),
  }
}

/** Those of the pods that are selected, by what tells their addresses apart. */
const keysIn = (
  pods: readonly PodOfRules[],
  selectors: readonly (string | PodSelector)[],
  family: IpFamily,
): Map<string, Buffer> =>
  new Map(
    pods
      .filter((pod) => isSelected(selectors, pod))
      .flatMap((pod) => addressesOf(pod, family))
      .map(({ address }) => [address.toString('hex'), address]),
  )

/** A pod's addresses of a family, as an element of a set. */
export const addressesOf = ({ addresses }: Pick<PodOfRules, 'addresses'>, family: IpFamily): Member[] =>
  addresses
    .filter(({ address }) => familyOf(address) === family)
    .map(({ address }) => ({ address: encodeIp(address) }))
