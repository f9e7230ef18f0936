import { type Change, type Element, elements, linkName, sets, type TableRef } from '@podwire/netlink/nftables'
import type { Firewall } from '../firewall/firewall.ts'
import { layouts } from '../firewall/layout.ts'
import type { PodRecord } from '../pod-record.ts'
import { ifThere, renewed } from './in-kernel.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import type { Member, Naming } from './naming.ts'
import { ledTo, type MemberSet, memberSets } from './objects.ts'

/** What names led pods to, in the sets of their policies: each pod's own elements among those of the others. */
export interface LedTo {
  /** What this process knows a pod to have been led to, as elements of a group's set. */
  elementsOf(pod: PodRecord, of: MemberSet): Element[]
  /** Puts all of it into the sets of a policy. */
  renewed(table: TableRef, pod: PodRecord, policy: KernelPolicy): Change[]
  /** Adds to it. @param groups where they stand among what the policy's egress allows */
  admitted(
    table: TableRef,
    pod: PodRecord,
    policy: KernelPolicy,
    groups: readonly number[],
    members: readonly Member[],
  ): Change[]
  /**
   * Takes away what there is of a pod, by looking through the sets of a policy, as they are: what this process knows is less, where
   * two names led to one address, or another process answered in between.
   * @param policy the one of that suffix, where it is known
   */
  found(table: TableRef, suffix: string, sandboxId: string, policy?: KernelPolicy): Change[]
}

interface LedToContext {
  readonly firewall: Firewall
  readonly naming: Pick<Naming, 'membersOf'>
  linkOf(sandboxId: string): string
}

export function createLedTo({ firewall, naming, linkOf }: LedToContext): LedTo {
  const elementOf = (pod: PodRecord, { address, timeout }: Member): Element => ({
    key: ledTo(linkOf(pod.sandboxId), address),
    timeout,
  })

  const elementsOf = (pod: PodRecord, of: MemberSet) =>
    isLedTo(of) ? naming.membersOf(pod.sandboxId, of.index, of.family).map((one) => elementOf(pod, one)) : []

  return {
    elementsOf,
    renewed: (table, pod, policy) =>
      memberSets(policy)
        .filter(isLedTo)
        .flatMap((of) => renewed(firewall, { ...table, set: of.set }, elementsOf(pod, of))),
    admitted: (table, pod, policy, groups, members) =>
      memberSets(policy)
        .filter((of) => isLedTo(of) && groups.includes(of.index))
        .flatMap(({ set, family }) => {
          const own = members.filter(({ address }) => address.length === layouts[family].bytes)
          return renewed(
            firewall,
            { ...table, set },
            own.map((one) => elementOf(pod, one)),
          )
        }),
    found(table, suffix, sandboxId, policy) {
      const link = linkName(linkOf(sandboxId))
      const holding =
        policy?.suffix === suffix
          ? memberSets(policy)
              .filter(isLedTo)
              .map(({ set }) => set)
          : firewall
              .ask(sets.list)
              .filter(({ set, key }) => set.endsWith(suffix) && Array.isArray(key) && key[0] === 'ifname')
              .map(({ set }) => set)
      return holding.flatMap((set) => {
        const ref = { ...table, set }
        const all = ifThere(() => firewall.ask(() => elements.keys(ref))) ?? []
        const own = all.filter((key) => link.equals(key.subarray(0, link.length)))
        return elements.del(
          ref,
          own.map((key) => ({ key })),
        )
      })
    },
  }
}

/** Names lead a pod to addresses where its egress allows them, and nowhere else. */
const isLedTo = ({ direction, list, group }: MemberSet) =>
  direction === 'egress' && list === 'allow' && group.kind === 'names'
