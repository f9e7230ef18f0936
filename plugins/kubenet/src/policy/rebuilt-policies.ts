import type { Change, TableRef } from '@podwire/netlink/nftables'
import type { PodRecord } from '../pod-record.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import type { KnownPods } from './known-pods.ts'
import { added, cutOff, type LinkEntry } from './link-entries.ts'
import { type MembersOf, objectsOf, put } from './objects.ts'
import type { PodOfRules } from './pod-sets.ts'

/**
 * What tables that are made anew have of policies. All of it is in the transaction that makes them, however many pods there are: what
 * was filled in afterwards would be refused until then, or let through where a rule denies it.
 */
export interface RebuiltPolicies {
  /** What cuts all pods off that have policies, in empty tables. */
  shut(table: TableRef): Change[]
  /** What makes the policies of all pods in empty tables. Pods whose record can't be read are cut off. */
  rebuilt(table: TableRef): Change[]
}

interface RebuiltPoliciesContext {
  readonly pods: KnownPods
  linkOf(sandboxId: string): string
  policyOf(pod: PodRecord): KernelPolicy | undefined
  membersOf(policy: KernelPolicy, present: () => readonly PodOfRules[]): MembersOf
  entriesOf(pod: PodRecord, policy: KernelPolicy | undefined): LinkEntry[]
}

export function createRebuiltPolicies(context: RebuiltPoliciesContext): RebuiltPolicies {
  const { pods, linkOf, policyOf, membersOf, entriesOf } = context
  return {
    shut: (table) =>
      pods
        .recorded()
        .flatMap(({ sandboxId, record }) =>
          record === 'unreadable' || record?.policy ? cutOff(table, linkOf(sandboxId)) : [],
        ),
    rebuilt(table) {
      const all = pods.recorded()
      const present = all.flatMap(({ record }) =>
        typeof record === 'object' && pods.isPresent(record) ? [record] : [],
      )
      const selectable = [...present, ...pods.peers()]
      const own = present.flatMap((pod) => policyOf(pod) ?? [])
      return [
        ...[...new Map(own.map((policy) => [policy.suffix, policy])).values()].flatMap((policy) =>
          put(
            table,
            objectsOf(
              policy,
              membersOf(policy, () => selectable),
            ),
          ),
        ),
        ...added(
          table,
          present.flatMap((pod) => entriesOf(pod, policyOf(pod))),
        ),
        // Nobody knows what it may do.
        ...all.flatMap(({ sandboxId, record }) =>
          record === 'unreadable' ? cutOff(table, linkOf(sandboxId)) : [],
        ),
      ]
    },
  }
}
