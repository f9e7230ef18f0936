import type { NodeValue } from '../layout/lease-value.ts'
import { type ClusterNetwork, parseNetwork } from '../layout/network.ts'
import { parsePodSubnets } from '../layout/pod-subnets.ts'
import { bootId } from './clock.ts'
import type { MemberRecord } from './member-file.ts'

/** What an earlier process of this node wrote down. Of another node name it says nothing, and of another start of the machine only what it had. */
export function usableRecord(record: MemberRecord | undefined, nodeName: string): MemberRecord | undefined {
  if (record?.nodeName !== nodeName) return undefined
  if (record.bootId === bootId() || !record.lease) return record
  return { ...record, lease: { ...record.lease, endsAt: 0 } }
}

/**
 * The lease that it may go on with.
 * @param describe what this node tells of itself now
 * @param until at least as long, in milliseconds of the same clock
 */
export function adoptable(
  record: MemberRecord,
  describe: (network: ClusterNetwork) => NodeValue,
  until: number,
) {
  const { lease, network: text } = record
  const network = text === undefined ? undefined : parseNetwork(text)
  const subnets = lease && parsePodSubnets(lease.podCIDR)
  if (!lease || !subnets || network === undefined || typeof network === 'string') return undefined
  // What the others know of this node is no longer so.
  const { publicIP, publicIPv6, publicKey } = knownBy(describe(network))
  if (publicIP !== record.publicIP || publicIPv6 !== record.publicIPv6) return undefined
  if (publicKey !== record.publicKey) return undefined
  if ((lease.endsAt ?? Number.POSITIVE_INFINITY) <= until) return undefined
  const { podCIDR: _, ...rest } = lease
  return { lease: { ...rest, subnets }, network }
}

/** By what others know it: with another one a lease is not taken up. */
export const knownBy = ({ publicIP, publicIPv6, publicKey, publicKey6 }: NodeValue) => ({
  publicIP,
  publicIPv6,
  publicKey: publicKey ?? publicKey6,
})
