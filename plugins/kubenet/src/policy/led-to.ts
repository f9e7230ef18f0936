import { once } from '@podwire/api'
import { type Change, type Element, elements, linkName, sets, type TableRef } from '@podwire/netlink/nftables'
import { encodeIp } from '@podwire/netlink/transport'
import type { Firewall } from '../firewall/firewall.ts'
import { families, layouts } from '../firewall/layout.ts'
import type { PodRecord } from '../pod-record.ts'
import { hasElement, ifThere, removed, renewed } from './in-kernel.ts'
import { type KernelPolicy, suffixIn } from './kernel-policy.ts'
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
   * Takes away what there is of a pod in the sets of a policy: what this process led it to, or, where another one may have answered it
   * too, what is found by looking through all that other pods have there.
   */
  found(table: TableRef, suffix: string, sandboxId: string): Change[]
  /** Whether the kernel has that a pod was led to an address, by whatever policy. */
  isLed(sandboxId: string): (address: string) => boolean
}

interface LedToContext {
  readonly firewall: Firewall
  readonly naming: Pick<Naming, 'membersOf' | 'allLedTo'>
  /** Whether the pod's questions are led to this process. */
  isAnsweredHere(sandboxId: string): boolean
  linkOf(sandboxId: string): string
}

export function createLedTo({ firewall, naming, isAnsweredHere, linkOf }: LedToContext): LedTo {
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
    found(table, suffix, sandboxId) {
      const name = linkOf(sandboxId)
      const link = linkName(name)
      // The kernel takes a second to tell a hundred thousand elements, and four times as long for twice as many.
      const known = isAnsweredHere(sandboxId) ? naming.allLedTo(sandboxId)?.map(encodeIp) : undefined
      return firewall.ask(sets.list).flatMap(({ set, key }) => {
        if (!set.endsWith(suffix) || !Array.isArray(key) || key[0] !== 'ifname') return []
        const ref = { ...table, set }
        if (known) {
          const own = known.filter(({ length }) => key[1] === addressTypes.get(length))
          return removed(
            firewall,
            ref,
            own.map((address) => ledTo(name, address)),
          )
        }
        const all = firewall.ask(() => elements.list(ref))
        const own = all.filter((element) => link.equals(element.key.subarray(0, link.length)))
        return own.length > 0
          ? elements.del(
              ref,
              own.map((element) => ({ key: element.key })),
            )
          : []
      })
    },
    isLed(sandboxId) {
      const link = linkOf(sandboxId)
      // Mostly nobody asks.
      const all = once(() => ifThere(() => firewall.ask(sets.list)) ?? [])
      return (text) => {
        const address = encodeIp(text)
        const type = addressTypes.get(address.length)
        return all().some(
          ({ set, key }) =>
            suffixIn(set) !== undefined &&
            Array.isArray(key) &&
            key[0] === 'ifname' &&
            key[1] === type &&
            hasElement(firewall, set, ledTo(link, address)),
        )
      }
    },
  }
}

/** By how many bytes it has. */
const addressTypes = new Map(families.map((family) => [layouts[family].bytes, layouts[family].address]))

/** Names lead a pod to addresses where its egress allows them, and nowhere else. */
const isLedTo = ({ direction, list, group }: MemberSet) =>
  direction === 'egress' && list === 'allow' && group.kind === 'names'
