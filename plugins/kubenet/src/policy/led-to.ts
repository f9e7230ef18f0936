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
   * @param policy the one of that suffix, where it is known
   */
  found(table: TableRef, suffix: string, sandboxId: string, policy?: KernelPolicy): Change[]
  /** Whether the kernel has that a pod was led to an address, by whatever policy. */
  isLed(sandboxId: string): (address: string) => boolean
}

interface LedToSet {
  readonly set: string
  /** Of an address in it. */
  readonly bytes: number
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

  /** The sets that the kernel has of what names led to, of all policies. */
  const setsOfAll = (): LedToSet[] =>
    (ifThere(() => firewall.ask(sets.list)) ?? []).flatMap(({ set, key }) => {
      const family = families.find((one) => Array.isArray(key) && key[1] === layouts[one].address)
      return family && Array.isArray(key) && key[0] === 'ifname' ? { set, bytes: layouts[family].bytes } : []
    })

  const setsOf = (suffix: string, policy: KernelPolicy | undefined): LedToSet[] =>
    policy?.suffix === suffix
      ? memberSets(policy)
          .filter(isLedTo)
          .map(({ set, family }) => ({ set, bytes: layouts[family].bytes }))
      : setsOfAll().filter(({ set }) => set.endsWith(suffix))

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
      const name = linkOf(sandboxId)
      const link = linkName(name)
      // The kernel takes a second to tell a hundred thousand elements, and four times as long for twice as many.
      const known = isAnsweredHere(sandboxId) ? naming.allLedTo(sandboxId)?.map(encodeIp) : undefined
      return setsOf(suffix, policy).flatMap(({ set, bytes }) => {
        const ref = { ...table, set }
        if (known) {
          const own = known.filter(({ length }) => length === bytes)
          return removed(
            firewall,
            ref,
            own.map((address) => ledTo(name, address)),
          )
        }
        const all = ifThere(() => firewall.ask(() => elements.keys(ref))) ?? []
        const own = all.filter((key) => link.equals(key.subarray(0, link.length)))
        return elements.del(
          ref,
          own.map((key) => ({ key })),
        )
      })
    },
    isLed(sandboxId) {
      const link = linkOf(sandboxId)
      // Mostly nobody asks.
      const all = once(() => setsOfAll().filter(({ set }) => suffixIn(set) !== undefined))
      return (text) => {
        const address = encodeIp(text)
        return all().some(
          ({ set, bytes }) => bytes === address.length && hasElement(firewall, set, ledTo(link, address)),
        )
      }
    },
  }
}

/** Names lead a pod to addresses where its egress allows them, and nowhere else. */
const isLedTo = ({ direction, list, group }: MemberSet) =>
  direction === 'egress' && list === 'allow' && group.kind === 'names'
