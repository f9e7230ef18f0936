import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PodSelector, Policy } from '@podwire/api'
import { namesIn, removeIfThere } from '@podwire/api/files'
import { type Change, elements, rules, type TableRef } from '@podwire/netlink/nftables'
import { encodeIp } from '@podwire/netlink/transport'
import type { Firewall } from '../firewall/firewall.ts'
import { familyOf, type IpFamily } from '../ipam/cidr.ts'
import type { PodRecord } from '../pod-record.ts'
import { directions } from './compile.ts'
import { ifThere, removed } from './in-kernel.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import { chainOf, memberSets } from './objects.ts'
import { isSelected, type SelectablePod } from './selectors.ts'

/** Whom a rule about pods may be about: of this node or another one. */
export interface PodOfRules extends SelectablePod {
  readonly addresses: readonly { readonly address: string }[]
}

/** What becomes of policies when pods of other nodes come and go. */
interface Exchange {
  /** In pieces, a transaction each, by a look at what is there: each set is right by itself. */
  readonly changes: readonly ((table: TableRef) => Change[])[]
  /** The policies that allow less than before, by their suffixes. */
  readonly narrowed: ReadonlySet<string>
}

/**
 * Pods in the policies of others: a policy may speak of pods that come and go, so that each of them enters the sets of those
 * policies, and leaves them.
 */
export interface OthersPolicies {
  /**
   * Remembers that a pod is about to get a policy that speaks of other pods. Most hosts have none that does, and need not look through
   * all records.
   */
  announce(pod: Pick<PodRecord, 'sandboxId' | 'policy'>): void
  /** Forgets it, where the pod has no such policy any more. */
  withdraw(pod: Pick<PodRecord, 'sandboxId' | 'policy'>): void
  /** Whether no policy speaks of other pods. */
  areNone(): boolean
  /**
   * Into the sets that a pod belongs to, and out of those that it doesn't.
   * @param isDone the policies that are filled, or taken away, in the same step
   */
  join(table: TableRef, pod: PodRecord, isDone: (policy: KernelPolicy) => boolean): Change[]
  /** @param isDone the policies that are taken away in the same step */
  leave(table: TableRef, pod: PodRecord, isDone: (policy: KernelPolicy) => boolean): Change[]
  /** Takes pods of other nodes out of the sets that they don't belong to any more, and puts the new ones into theirs. */
  exchange(before: readonly PodOfRules[], after: readonly PodOfRules[]): Exchange
}

interface OthersPoliciesContext {
  readonly firewall: Firewall
  readonly stateDir: string
  /** Undefined for what isn't there or can't be read. */
  read(sandboxId: string): PodRecord | undefined
  kernelPolicyOf(pod: PodRecord): KernelPolicy | undefined
  /** The pods of this node. */
  own(): readonly PodOfRules[]
}

/** So many elements are changed in a transaction, but for those of one set, which are not cut in two. */
const mostElements = 4_000

export function createOthersPolicies(context: OthersPoliciesContext): OthersPolicies {
  const { firewall, read, kernelPolicyOf } = context
  const selecting = join(context.stateDir, 'selecting')

  // Asked first, as an error takes longer to make than all else here, and most hosts have no such directory.
  const selectingPods = () => (existsSync(selecting) ? namesIn(selecting) : [])

  /** The policies that speak of pods and that the kernel has, once each. Who puts one there later looks at all pods by then. */
  function selectingPolicies(): KernelPolicy[] {
    const policies = selectingPods()
      .flatMap((sandboxId) => read(sandboxId) ?? [])
      // While a change is under way the kernel has the one or the other.
      .flatMap((pod) => [pod, ...(pod.changing ? [{ ...pod, ...pod.changing }] : [])])
      .flatMap((pod) => kernelPolicyOf(pod) ?? [])
    return [...new Map(policies.map((policy) => [policy.suffix, policy])).values()].filter(isInKernel)
  }

  /** A chain that isn't there has no rules; one that selects pods has some. */
  function isInKernel(policy: KernelPolicy): boolean {
    const selects = podSets(policy)[0]
    if (!selects) return false
    const chain = chainOf(selects.direction, policy)
    return (ifThere(() => firewall.ask((table) => rules.count({ ...table, chain }))) ?? 0) > 0
  }

  const setsWith = (record: PodRecord, isDone: (policy: KernelPolicy) => boolean) =>
    selectingPolicies()
      .filter((policy) => !isDone(policy))
      .flatMap(podSets)
      .map(({ group, family, set }) => ({
        set,
        keys: addressesOf(record, family),
        isMember: isSelected(group.pods, record),
      }))
      .filter(({ keys }) => keys.length > 0)

  return {
    announce({ sandboxId, policy }) {
      if (!speaksOfPods(policy)) return
      mkdirSync(selecting, { recursive: true, mode: 0o700 })
      writeFileSync(join(selecting, sandboxId), '')
    },
    withdraw({ sandboxId, policy }) {
      if (!speaksOfPods(policy)) removeIfThere(join(selecting, sandboxId))
    },
    areNone: () => selectingPods().length === 0,
    join: (table, record, isDone) =>
      setsWith(record, isDone).flatMap(({ set, keys, isMember }) => {
        const ref = { ...table, set }
        if (!isMember) return removed(firewall, ref, keys)
        return elements.add(
          ref,
          keys.map((key) => ({ key })),
        )
      }),
    leave: (table, record, isDone) =>
      setsWith(record, isDone).flatMap(({ set, keys }) => removed(firewall, { ...table, set }, keys)),
    exchange(before, after) {
      const policies = selectingPolicies()
      // A pod of this node may have an address that is another's by now, and keeps its place.
      const own = policies.length > 0 ? context.own() : []
      const pieces: { size: number; readonly sets: (Difference & { readonly set: string })[] }[] = []
      const narrowed = new Set<string>()
      for (const policy of policies)
        for (const { set, group, family, list } of podSets(policy)) {
          const { came, went } = differenceOf(before, after, own, group.pods, family)
          if ((list === 'allow' ? went : came).length > 0) narrowed.add(policy.suffix)
          const size = came.length + went.length
          if (size === 0) continue
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
      return { changes, narrowed }
    },
  }
}

const podSets = (policy: KernelPolicy) => memberSets(policy).filter(({ group }) => group.kind === 'pods')

const speaksOfPods = (policy: Policy | undefined) =>
  directions.some((direction) =>
    [...(policy?.[direction]?.allow ?? []), ...(policy?.[direction]?.deny ?? [])].some(
      ({ pod }) => pod !== undefined,
    ),
  )

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
      .map((address) => [address.toString('hex'), address]),
  )

/** A pod's addresses of a family, in network order. */
export const addressesOf = ({ addresses }: Pick<PodOfRules, 'addresses'>, family: IpFamily): Buffer[] =>
  addresses.filter(({ address }) => familyOf(address) === family).map(({ address }) => encodeIp(address))
