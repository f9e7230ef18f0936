import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { namesIn, removeIfThere } from '@podwire/api/files'
import { type Change, elements, type TableRef } from '@podwire/netlink/nftables'
import { encodeIp } from '@podwire/netlink/transport'
import type { Firewall } from '../firewall/firewall.ts'
import { familyOf, type IpFamily } from '../ipam/cidr.ts'
import type { PodRecord } from '../pod-record.ts'
import { directions } from './compile.ts'
import { removed } from './in-kernel.ts'
import type { Member, MemberSet } from './objects.ts'
import { isSelected } from './selectors.ts'

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
}

interface OthersPoliciesContext {
  readonly firewall: Firewall
  readonly stateDir: string
  /** Undefined for what isn't there or can't be read. */
  read(sandboxId: string): PodRecord | undefined
  /** Whether a pod has a part in policies. */
  isPresent(pod: PodRecord): boolean
  memberSets(pod: PodRecord): readonly MemberSet[]
}

export function createOthersPolicies(context: OthersPoliciesContext): OthersPolicies {
  const { firewall, read, isPresent, memberSets } = context
  const selecting = join(context.stateDir, 'selecting')

  function setsWith(
    record: PodRecord,
  ): { readonly set: string; readonly keys: readonly Buffer[]; readonly isMember: boolean }[] {
    return namesIn(selecting)
      .flatMap((sandboxId) => (sandboxId === record.sandboxId ? [] : (read(sandboxId) ?? [])))
      .filter((other) => other.policy && isPresent(other))
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
  }
}

/** A pod's addresses of a family, as an element of a set. */
export const addressesOf = ({ addresses }: PodRecord, family: IpFamily): Member[] =>
  addresses
    .filter(({ address }) => familyOf(address) === family)
    .map(({ address }) => ({ address: encodeIp(address) }))
