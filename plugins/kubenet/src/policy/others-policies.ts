import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Policy } from '@podwire/api'
import { namesIn, removeIfThere } from '@podwire/api/files'
import { type Change, elements, rules, type TableRef } from '@podwire/netlink/nftables'
import { type Firewall, nextGeneration } from '../firewall/firewall.ts'
import type { PodRecord } from '../pod-record.ts'
import { directions } from './compile.ts'
import { hasElement, ifThere, removed } from './in-kernel.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import { chainOf, type MemberSet } from './objects.ts'
import {
  asElements,
  bytesOf,
  exchanged,
  inPieces,
  isNarrowing,
  keysInKernel,
  keysOf,
  type PodOfRules,
  podSets,
  selectedKeys,
  selectedKeysOfMany,
  without,
} from './pod-sets.ts'
import { isSelected } from './selectors.ts'
import type { TouchedAddresses } from './touched-addresses.ts'

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
  join(table: TableRef, pod: PodRecord, isDone: (policy: KernelPolicy) => boolean): readonly Change[]
  /** @param isDone the policies that are taken away in the same step */
  leave(table: TableRef, pod: PodRecord, isDone: (policy: KernelPolicy) => boolean): readonly Change[]
  /**
   * Takes pods of other nodes out of the sets that they don't belong to any more, and puts the new ones into theirs; in pieces that let
   * the event loop go on, a transaction each.
   * @returns the policies that allow less than before, by their suffixes
   */
  exchange(before: readonly PodOfRules[], after: readonly PodOfRules[]): Promise<ReadonlySet<string>>
}

interface OthersPoliciesContext {
  readonly firewall: Firewall
  readonly stateDir: string
  /** Undefined for what isn't there or can't be read. */
  read(sandboxId: string): PodRecord | undefined
  kernelPolicyOf(pod: PodRecord): KernelPolicy | undefined
  /** What this process put into the kernel, which no record may say yet. */
  known(): readonly KernelPolicy[]
  isCurrent(policy: KernelPolicy): boolean
  readonly touched: TouchedAddresses
  /** The pods of this node. */
  own(): readonly PodOfRules[]
}

// How many elements of a set are asked for by themselves.
const mostAsked = 100

export function createOthersPolicies(context: OthersPoliciesContext): OthersPolicies {
  const { firewall, read, kernelPolicyOf, touched } = context
  const selecting = join(context.stateDir, 'selecting')

  // Asked first, as an error takes longer to make than all else here, and most hosts have no such directory.
  const selectingPods = () => (existsSync(selecting) ? namesIn(selecting) : [])

  let recorded: { readonly look: number; readonly policies: readonly KernelPolicy[] } | undefined

  /** Those of all records. What nobody else changed since has no more of others' policies than it had. */
  function recordedPolicies(): readonly KernelPolicy[] {
    const { look } = firewall
    if (recorded?.look === look) return recorded.policies
    const policies = selectingPods()
      .flatMap((sandboxId) => read(sandboxId) ?? [])
      // While a change is under way the kernel has the one or the other.
      .flatMap((pod) => [pod, ...(pod.changing ? [{ ...pod, ...pod.changing }] : [])])
      .flatMap((pod) => kernelPolicyOf(pod) ?? [])
    recorded = { look, policies: distinct(policies) }
    return recorded.policies
  }

  /** The policies that speak of pods and that the kernel has, once each. Who puts one there later looks at all pods by then. */
  const selectingPolicies = (): KernelPolicy[] =>
    distinct([...recordedPolicies(), ...context.known()]).filter(
      (policy) => podSets(policy).length > 0 && (context.isCurrent(policy) || isInKernel(policy)),
    )

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
        keys: keysOf(record, family),
        isMember: isSelected(group.pods, record),
      }))
      .filter(({ keys }) => keys.length > 0)

  // Of this process; those of others make `look` another one.
  let joins = 0
  let known: { readonly at: string; readonly pods: readonly PodOfRules[] } | undefined

  /** The pods of this node, read again where one may have come. */
  function ownPods(): readonly PodOfRules[] {
    const at = `${firewall.look} ${joins}`
    if (known?.at !== at) known = { at, pods: context.own() }
    return known.pods
  }

  async function exchangeIn(
    { set, group, family }: MemberSet,
    went: readonly string[],
    came: readonly string[],
  ) {
    if (went.length + came.length === 0) return
    touched.touch(set, [...went, ...came])
    // To ask for each takes longer than to ask for all, where they are many.
    const there = went.length > mostAsked ? keysInKernel(firewall, set) : undefined
    for (const piece of inPieces(went)) {
      firewall.transact((table) => {
        // A pod of this node may have come since, with an address that was another's.
        const gone = without(piece, selectedKeys(ownPods(), group.pods, family))
        const ref = { ...table, set }
        if (!there) return removed(firewall, ref, gone.map(bytesOf))
        return exchanged(
          ref,
          gone.filter((key) => there.has(key)),
          [],
        )
      })
      await nextTurn()
    }
    for (const piece of inPieces(came)) {
      firewall.transact((table) => exchanged({ ...table, set }, [], piece))
      await nextTurn()
    }
  }

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
    join(table, record, isDone) {
      joins++
      return noticed(
        table,
        setsWith(record, isDone).flatMap(({ set, keys, isMember }) => {
          touched.touch(set, keys)
          const ref = { ...table, set }
          if (!isMember) return removed(firewall, ref, keys.map(bytesOf))
          const missing = keys.filter((key) => !hasElement(firewall, set, bytesOf(key)))
          return elements.add(ref, asElements(missing))
        }),
      )
    },
    leave: (table, record, isDone) =>
      noticed(
        table,
        setsWith(record, isDone).flatMap(({ set, keys }) => {
          touched.touch(set, keys)
          return removed(firewall, { ...table, set }, keys.map(bytesOf))
        }),
      ),
    async exchange(before, after) {
      const narrowed = new Set<string>()
      // What another process puts in place from now on it puts there by what is known now; and what it put there before is looked at.
      firewall.transact(nextGeneration)
      const policies = selectingPolicies()
      for (const policy of policies)
        for (const of of podSets(policy)) {
          const { group, family } = of
          const keysIn = (pods: readonly PodOfRules[]) => selectedKeysOfMany(pods, group.pods, family)
          const [had, has] = [await keysIn(before), await keysIn(after)]
          // A pod of this node may have an address that is another's by now, and keeps its place.
          const stays = selectedKeys(ownPods(), group.pods, family)
          const [came, went] = [without(has, had), without(without(had, has), stays)]
          if (isNarrowing(of, went, came)) narrowed.add(policy.suffix)
          await exchangeIn(of, went, came)
        }
      return narrowed
    },
  }
}

/**
 * Somebody else may be about to put a policy in place by what was known before, which has to be looked at again, also where nothing is
 * to be changed as yet.
 */
const noticed = (table: TableRef, changes: readonly Change[]): readonly Change[] =>
  changes.length > 0 ? changes : nextGeneration(table)

const distinct = (policies: readonly KernelPolicy[]) => [
  ...new Map(policies.map((policy) => [policy.suffix, policy])).values(),
]

const speaksOfPods = (policy: Policy | undefined) =>
  directions.some((direction) =>
    [...(policy?.[direction]?.allow ?? []), ...(policy?.[direction]?.deny ?? [])].some(
      ({ pod }) => pod !== undefined,
    ),
  )
