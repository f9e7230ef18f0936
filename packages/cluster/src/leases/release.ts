import { describeValue } from '@podwire/api'
import { errors } from '../errors.ts'
import type { Etcd } from '../etcd/client.ts'
import type { Keys } from '../layout/keys.ts'
import { formatNodeValue, parseNodeValue, RESERVED } from '../layout/lease-value.ts'
import type { ClusterNetwork } from '../layout/network.ts'
import {
  haveInCommon,
  keyNameOf,
  type PodSubnets,
  parsePodSubnets,
  podCIDROf,
  subnetsOf,
} from '../layout/pod-subnets.ts'
import { isWithin } from '../layout/range.ts'
import { entriesOf } from './acquire.ts'
import { fits } from './choose.ts'
import { type LeaseEntry, readEntry } from './entry.ts'

/** The leases and reservations that there are, in the order of their subnets. */
export async function listLeases(etcd: Etcd, keys: Keys): Promise<LeaseEntry[]> {
  return entriesOf(await etcd.list(keys.subnets), keys).sort(bySubnets)
}

function bySubnets({ subnets: one }: LeaseEntry, { subnets: other }: LeaseEntry): number {
  const [first, second] = [one.ipv4 ?? one.ipv6, other.ipv4 ?? other.ipv6]
  if (!first || !second) return 0
  if (first.family !== second.family) return first.family - second.family
  return first.first === second.first ? 0 : first.first < second.first ? -1 : 1
}

/**
 * Ends the lease of a node, by its name or its pod CIDR. What was reserved for the node stays so; a reservation for nobody ends.
 * @throws PodwireError `NO_SUCH_LEASE`, `LEASE_CHANGED`; `LEASE_IN_USE` where a node has it, unless it is forced
 */
export async function releaseLease(
  etcd: Etcd,
  keys: Keys,
  wanted: string,
  { force = false }: { force?: boolean } = {},
): Promise<LeaseEntry> {
  const entry = (await listLeases(etcd, keys)).find(
    ({ node, subnets }) => node?.nodeName === wanted || podCIDROf(subnets) === canonical(wanted),
  )
  if (!entry) throw errors.NO_SUCH_LEASE({ wanted })
  if (!force) await mustBeUnused(etcd, entry)
  const { key, modRevision, lease, node, subnets } = entry
  const isReservedFor =
    lease === undefined && node?.nodeName !== undefined && node.backendType !== RESERVED
      ? node.nodeName
      : undefined
  const { succeeded } = await etcd.transaction(
    [{ key, modRevision }],
    [
      isReservedFor === undefined
        ? { delete: key }
        : { put: key, value: formatNodeValue({ nodeName: isReservedFor, backendType: RESERVED }) },
      { put: keys.used + keyNameOf(subnets), value: '' },
    ],
  )
  if (!succeeded) throw errors.LEASE_CHANGED({ podCIDR: podCIDROf(subnets) })
  return entry
}

/** Whether its node still runs, nobody can tell: until its lease ends it may. */
async function mustBeUnused(etcd: Etcd, entry: LeaseEntry): Promise<void> {
  const { lease, node, subnets } = entry
  const about = { podCIDR: podCIDROf(subnets), owner: describeOwner(entry) }
  if (lease === undefined) {
    if (node?.publicIP !== undefined || node?.publicIPv6 !== undefined) throw errors.LEASE_IN_USE(about)
    return
  }
  const time = await etcd.timeToLive(lease)
  if (!time) return
  const { seconds, granted } = time
  throw errors.LEASE_IN_USE({ ...about, leftMs: seconds * 1_000, renewedMs: (granted - seconds) * 1_000 })
}

const canonical = (text: string) => {
  const subnets = parsePodSubnets(text)
  return subnets && podCIDROf(subnets)
}

/**
 * Keeps subnets for a node of that name, or from all nodes.
 * @throws PodwireError `RESERVATION_INVALID`, `LEASE_CHANGED`
 */
export async function reserveLease(
  etcd: Etcd,
  keys: Keys,
  network: ClusterNetwork,
  { podCIDR, nodeName }: { podCIDR: string; nodeName?: string | undefined },
): Promise<PodSubnets> {
  const invalid = (reason: string) => errors.RESERVATION_INVALID({ podCIDR, reason })
  const subnets = parsePodSubnets(podCIDR)
  if (!subnets) throw invalid('it is not a CIDR, or one of each family separated by a comma')
  const families = [network.ipv4, network.ipv6].filter((family) => family !== undefined)
  for (const subnet of subnetsOf(subnets))
    if (!families.some((family) => isWithin(subnet, family.network)))
      throw invalid('it is not in the network')
  if (nodeName !== undefined && !fits(subnets, network))
    throw invalid(`a node has ${familiesOf(network)} of this network`)
  const value = formatNodeValue({ ...(nodeName === undefined ? {} : { nodeName }), backendType: RESERVED })
  if (!parseNodeValue(value)) throw invalid(`no node can be called ${describeValue(nodeName)}`)
  const range = await etcd.list(keys.subnets)
  const other = range.entries
    .flatMap((entry) => readEntry(entry, keys.subnets) ?? [])
    .find((entry) => haveInCommon(entry.subnets, subnets))
  if (other) {
    const taken = podCIDROf(other.subnets)
    throw errors.RESERVATION_INVALID({ podCIDR, reason: `${taken} is ${describeOwner(other)}`, taken })
  }
  const { succeeded } = await etcd.transaction(
    [{ prefix: keys.subnets, unchangedSince: range.revision }],
    [{ put: keys.subnets + keyNameOf(subnets), value }],
  )
  if (!succeeded) throw errors.LEASE_CHANGED({ podCIDR })
  return subnets
}

/** `a /24 and a /64, as CIDR,CIDR`: what a node has. */
function familiesOf(network: ClusterNetwork): string {
  const lengths = [network.ipv4, network.ipv6].flatMap((family) =>
    family ? [`a /${family.subnetLength}`] : [],
  )
  return lengths.length > 1 ? `${lengths.join(' and ')}, as CIDR,CIDR,` : `${lengths}`
}

/** `leased to node a at 10.0.0.1`, `reserved`. */
export function describeOwner({ node, lease }: LeaseEntry): string {
  if (!node) return 'taken by something that is not a lease'
  const address = node.publicIP ?? node.publicIPv6
  const where = address === undefined ? '' : ` at ${address}`
  const owner = `${node.nodeName === undefined ? 'a node' : `node ${node.nodeName}`}${where}`
  if (lease !== undefined) return `leased to ${owner}`
  return node.nodeName === undefined && address === undefined ? 'reserved' : `reserved for ${owner}`
}
