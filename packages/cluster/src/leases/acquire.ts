import { setTimeout as sleep } from 'node:timers/promises'
import { errors } from '../errors.ts'
import type { Etcd, Range } from '../etcd/client.ts'
import type { Compare } from '../etcd/transaction.ts'
import type { Keys } from '../layout/keys.ts'
import { formatNodeValue } from '../layout/lease-value.ts'
import type { ClusterNetwork } from '../layout/network.ts'
import { keyNameOf, type PodSubnets, parseKeyName, podCIDROf } from '../layout/pod-subnets.ts'
import { choosePodSubnets, describeNetwork, fits } from './choose.ts'
import { type LeaseEntry, readEntry } from './entry.ts'
import type { ClusterNode, HeldLease } from './node.ts'

export interface Acquisition {
  readonly etcd: Etcd
  readonly keys: Keys
  readonly network: ClusterNetwork
  readonly node: ClusterNode
  /** Seconds. */
  readonly leaseTtl: number
  /** What this node had before. */
  readonly before?: PodSubnets | undefined
  /** The daemon that took over from this one: what it has stays its own. */
  readonly displacedBy?: string | undefined
  readonly now: () => number
}

/** How often others may come first before it is given up for now. */
const attempts = 60

/**
 * Leases subnets: this node's own, those of before, such as were never used, or the longest ended. One transaction holds against
 * everything that anybody wrote since the leases were read, so no two nodes have an address, a name or a public address
 * in common, whatever the lengths of their subnets.
 * @throws PodwireError `NODE_NAME_TAKEN`, `PUBLIC_ADDRESS_TAKEN`, `LEASE_TAKEN_OVER`, `NETWORK_FULL`, `ACQUISITION_CONTENDED`;
 * those of etcd
 */
export async function acquireLease(acquisition: Acquisition): Promise<HeldLease> {
  let granted: Granted | undefined
  let held: HeldLease | undefined
  try {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const found = await findSubnets(acquisition, granted?.id)
      // As late as can be: its time runs while etcd is asked, and who finds nothing free needs none.
      if (found.needsLease) granted = await grantOrKeep(acquisition, granted)
      held = await put(acquisition, found, granted)
      if (held) return held
      // Everybody who failed comes again: spread, so that one of them comes through each time.
      await sleep(Math.random() * Math.min(500, 20 * attempt))
    }
    throw errors.ACQUISITION_CONTENDED({ attempts })
  } finally {
    // What was put with it in an answer that was lost goes with it too.
    if (granted && held?.id !== granted.id) await acquisition.etcd.revoke(granted.id).catch(() => {})
  }
}

/** A lease of etcd's, and until when it lasts. */
interface Granted {
  readonly id: string
  /** As it was asked. Seconds. */
  readonly ttl: number
  readonly endsAt: number
}

/** One whose time has hardly begun. */
async function grantOrKeep(
  { etcd, leaseTtl, now }: Acquisition,
  granted: Granted | undefined,
): Promise<Granted> {
  const askedAt = now()
  if (granted && granted.endsAt - askedAt > (leaseTtl * 1_000 * 3) / 4) return granted
  const left = granted ? await etcd.keepAlive(granted.id) : 0
  if (granted && left > 0) return { ...granted, endsAt: askedAt + left * 1_000 }
  // Another process of etcd may have the last one still; it ends by itself.
  const grantedAt = now()
  const { id, seconds } = await etcd.grant(leaseTtl)
  return { id, ttl: leaseTtl, endsAt: grantedAt + seconds * 1_000 }
}

/** Subnets that this node may have, by the leases of one moment. */
interface Found {
  readonly subnets: PodSubnets
  readonly key: string
  /** False of a reservation, which stays one. */
  readonly needsLease: boolean
  /** All that is this node's, in whatever key. */
  readonly own: readonly LeaseEntry[]
  readonly revision: number
}

async function findSubnets(acquisition: Acquisition, id: string | undefined): Promise<Found> {
  const { etcd, keys, network } = acquisition
  const range = await etcd.list(keys.subnets)
  const entries = entriesOf(range, keys)
  const own = ownEntries(acquisition, entries, id)
  const kept = own.find(({ subnets }) => fits(subnets, network))
  const subnets = kept?.subnets ?? (await chooseNew(acquisition, entries, own))
  return {
    subnets,
    key: kept?.key ?? keys.subnets + keyNameOf(subnets),
    needsLease: kept === undefined || kept.lease !== undefined,
    own,
    revision: range.revision,
  }
}

/** Undefined where somebody came first. */
async function put(
  { etcd, keys, network, node }: Acquisition,
  { subnets, key, needsLease, own, revision: unchangedSince }: Found,
  granted: Granted | undefined,
): Promise<HeldLease | undefined> {
  const lease = needsLease ? granted : undefined
  const vni = network.backend.type === 'vxlan' ? network.backend.vni : undefined
  const compare: Compare[] = [
    { prefix: keys.subnets, unchangedSince },
    // Keys that are gone are not seen so: that the own ones are still there is asked by itself.
    ...own.map(({ key, modRevision }) => ({ key, modRevision })),
  ]
  // What is reserved stays so, though no node can have it as it is.
  const leaves = own.filter((entry) => entry.key !== key && entry.lease !== undefined)
  const { succeeded, revision } = await etcd.transaction(compare, [
    ...leaves.map((entry) => ({ delete: entry.key })),
    { put: key, value: formatNodeValue(node, vni), lease: lease?.id },
    { put: keys.used + keyNameOf(subnets), value: '' },
  ])
  if (!succeeded) return undefined
  return { key, subnets, modRevision: revision, ...lease }
}

async function chooseNew(
  { etcd, keys, network, before }: Acquisition,
  entries: readonly LeaseEntry[],
  own: readonly LeaseEntry[],
): Promise<PodSubnets> {
  const { entries: used } = await etcd.list(keys.used)
  const subnets = choosePodSubnets({
    network,
    taken: entries
      .filter((entry) => entry.lease === undefined || !own.includes(entry))
      .map((entry) => entry.subnets),
    used: [...used]
      .sort((a, b) => a.modRevision - b.modRevision)
      .flatMap(({ key }) => parseKeyName(key.slice(keys.used.length)) ?? []),
    before,
  })
  if (!subnets) throw errors.NETWORK_FULL({ network: describeNetwork(network), leases: entries.length })
  return subnets
}

export function entriesOf({ entries }: Range, keys: Keys): LeaseEntry[] {
  return entries.flatMap((entry) => readEntry(entry, keys.subnets) ?? [])
}

/** What is this node's already: by its name and address, or by its address where no name is written, as flannel does. */
function ownEntries(
  { node, displacedBy }: Acquisition,
  entries: readonly LeaseEntry[],
  id: string | undefined,
): LeaseEntry[] {
  const about = { nodeName: node.nodeName, publicIP: node.publicIP ?? node.publicIPv6 ?? '' }
  const found: LeaseEntry[] = []
  for (const entry of entries) {
    const { node: other, subnets } = entry
    if (!other) continue
    const isNamed = other.nodeName === node.nodeName
    const isAddressed =
      (other.publicIP !== undefined && other.publicIP === node.publicIP) ||
      (other.publicIPv6 !== undefined && other.publicIPv6 === node.publicIPv6)
    if (!isNamed && !isAddressed) continue
    const isOwn = (isAddressed && (isNamed || other.nodeName === undefined)) || isForName(entry, isNamed)
    const podCIDR = podCIDROf(subnets)
    if (!isOwn && isNamed) {
      const where = other.publicIP ?? other.publicIPv6 ?? 'an address that is not known'
      throw errors.NODE_NAME_TAKEN({ ...about, other: where, podCIDR })
    }
    if (!isOwn) throw errors.PUBLIC_ADDRESS_TAKEN({ ...about, other: other.nodeName ?? '', podCIDR })
    if (displacedBy !== undefined && other.instance === displacedBy) throw errors.LEASE_TAKEN_OVER(about)
    found.push(entry)
  }
  // There are several where somebody reserved a subnet for a node that has another: that one is wanted.
  const rank = ({ lease }: LeaseEntry) => (lease === undefined ? 0 : lease === id ? 1 : 2)
  return found.sort((a, b) => rank(a) - rank(b))
}

/** Reserved for a node of a name, at whatever address. */
const isForName = ({ node, lease }: LeaseEntry, isNamed: boolean) =>
  isNamed && lease === undefined && node?.publicIP === undefined && node?.publicIPv6 === undefined
