import { setImmediate as nextTurn } from 'node:timers/promises'
import type { TableRef } from '@podwire/netlink/nftables'
import type { Firewall } from '../firewall/firewall.ts'
import { wasInTheWay } from './in-kernel.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import type { MemberSet } from './objects.ts'
import {
  exchanged,
  inPieces,
  isNarrowing,
  keysInKernel,
  PIECE,
  type PodOfRules,
  podSets,
  selectedKeysOfMany,
  without,
} from './pod-sets.ts'
import type { SharedPolicies } from './shared-policies.ts'
import type { TouchedAddresses } from './touched-addresses.ts'

/** Policies that may select thousands of pods: the kernel gets those in pieces that let the event loop go on. */
export interface LargePolicies {
  /**
   * Does what holds the event loop up before a pod gets the policy; undefined where nothing does. What is left is for the step that
   * gives it to the pod, as it is where somebody changed rules meanwhile.
   */
  prepare(policy: KernelPolicy): Promise<void> | undefined
}

interface LargePoliciesContext {
  readonly firewall: Firewall
  readonly shared: SharedPolicies
  readonly touched: TouchedAddresses
  /** Of all nodes. */
  pods(): readonly PodOfRules[]
  /** Of other nodes. */
  peers(): readonly PodOfRules[]
}

export function createLargePolicies(context: LargePoliciesContext): LargePolicies {
  const { firewall, shared, touched } = context
  const running = new Map<string, Promise<void>>()

  async function fill(policy: KernelPolicy) {
    // A pod that comes or goes from now on is in the kernel what it is.
    const settled = touched.watch()
    try {
      let isLeft = false
      firewall.transact((table) => {
        const changes = shared.begun(table, policy)
        isLeft = changes === undefined
        return changes ?? []
      })
      if (isLeft) return
      const seen = firewall.look
      const pods = context.pods()
      for (const of of podSets(policy)) await fillSet(policy, of, pods, settled.in(of.set))
      shared.confirm(policy, seen)
    } catch (error) {
      // Somebody else's change was in the way: then it is all one step.
      if (!wasInTheWay(error)) throw error
    } finally {
      settled.end()
    }
  }

  async function fillSet(
    policy: KernelPolicy,
    of: MemberSet,
    pods: readonly PodOfRules[],
    settled: { has(key: string): boolean },
  ) {
    const { set, group, family } = of
    const wanted = await selectedKeysOfMany(pods, group.pods, family)
    const there = keysInKernel(firewall, set)
    const pieces = [
      ...[...inPieces(without(there, wanted))].map((went) => ({ went, came: [] })),
      ...[...inPieces(without(wanted, there))].map((came) => ({ went: [], came })),
    ]
    for (const { went, came } of pieces) {
      await nextTurn()
      if (isNarrowing(of, went, came)) shared.narrow(policy)
      firewall.transact((table: TableRef) =>
        exchanged({ ...table, set }, without(went, settled), without(came, settled)),
      )
    }
  }

  return {
    prepare(policy) {
      if (shared.isCurrent(policy) || podSets(policy).length === 0 || context.peers().length < PIECE)
        return undefined
      const before = running.get(policy.suffix)
      if (before) return before
      const filling = fill(policy).finally(() => running.delete(policy.suffix))
      running.set(policy.suffix, filling)
      return filling
    },
  }
}
