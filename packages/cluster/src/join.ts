import { isPodwireError, messageOf, type PeerPodsChange } from '@podwire/api'
import { openNetlink } from '@podwire/netlink'
import type { Cluster, ClusterContext, PeerStatus } from './cluster.ts'
import { type EtcdOptions, openEtcd } from './etcd/client.ts'
import { createTeller } from './events.ts'
import { firstAttempt } from './first-attempt.ts'
import { keysOf } from './layout/keys.ts'
import type { NodeValue } from './layout/lease-value.ts'
import { type ClusterNetwork, networksOf, rangesOf } from './layout/network.ts'
import { podCIDROf } from './layout/pod-subnets.ts'
import type { LeaseEntry } from './leases/entry.ts'
import { keepLeaseTable } from './leases/lease-table.ts'
import { type Membership, startMember } from './leases/member.ts'
import { sharePods } from './pods/shared-pods.ts'
import { openLeaseGuard } from './routes/lease-guard.ts'
import { openRoutes } from './routes/routes.ts'
import { findUnderlay, type UnderlayOptions } from './routes/underlay.ts'
import { vtepMacOf } from './routes/vxlan-link.ts'
import { NOTHING, wantedFor } from './routes/wanted.ts'
import { shareOf } from './share.ts'
import { createWireguardNode } from './wireguard.ts'

export interface JoinOptions extends UnderlayOptions, ClusterContext {
  readonly etcd: EtcdOptions & { readonly prefix: string }
  readonly nodeName: string
  /** Seconds. */
  readonly leaseTtl: number
  /** How long before its end the lease is renewed. Seconds. */
  readonly renewBefore: number
  /**
   * Has nodes tell each other of their pods: told of those of the others, and what changes of them. The next waits until it is done;
   * what it rejects is told again. Absent: this node tells nothing of its pods, and hears of none.
   */
  readonly onPeerPods?: (change: PeerPodsChange) => Promise<void> | void
  /** Milliseconds, those of suspension included. Default: the machine's. */
  readonly now?: () => number
}

/**
 * Joins the network of an etcd: leases a pod CIDR, and makes routes to the pods of all other nodes. Resolves after the first
 * attempt, whatever came of it, and after two seconds where none has come to its end; it goes on trying.
 * @throws PodwireError `NO_PUBLIC_ADDRESS`; `WIREGUARD_UNAVAILABLE`, where the first attempt finds it
 */
export async function joinCluster(options: JoinOptions): Promise<Cluster> {
  const {
    etcd: endpoints,
    nodeName,
    leaseTtl,
    renewBefore,
    stateDir,
    log,
    onEvent,
    onPeerPods,
    now,
  } = options
  const underlay = await lookForUnderlay(options)
  const etcd = openEtcd(endpoints)
  const keys = keysOf(endpoints.prefix)
  const teller = createTeller(onEvent, log)
  const routes = openRoutes({ log, onRepair: (what) => teller.tell({ event: 'repaired', what }) })
  const wireguard = createWireguardNode(stateDir)
  /** Why this node can't be a part of the network, as it is. */
  let unfit: unknown
  let isStarting = true
  /** Why what it should have of the others' routes is not known. */
  let keyProblem: string | undefined
  const guard = openLeaseGuard(log)
  const pods = onPeerPods && sharePods({ etcd, keys, log, leaseTtl, onChange: onPeerPods, tell: teller.tell })
  let wanted = NOTHING
  let joining: Promise<void> | undefined

  const describe = (network: ClusterNetwork): NodeValue => {
    const { backend, ipv4, ipv6 } = network
    const { publicIP, publicIPv6 } = underlay
    const vtep = (family: 4 | 6, isThere: boolean) =>
      backend.type === 'vxlan' && isThere ? vtepMacOf(nodeName, backend.vni, family) : undefined
    const vtepMac = vtep(4, ipv4 !== undefined && publicIP !== undefined)
    const vtepMac6 = vtep(6, ipv6 !== undefined && publicIPv6 !== undefined)
    return {
      ...(publicIP === undefined ? {} : { publicIP }),
      ...(publicIPv6 === undefined ? {} : { publicIPv6 }),
      backendType: backend.type,
      ...(vtepMac === undefined ? {} : { vtepMac }),
      ...(vtepMac6 === undefined ? {} : { vtepMac6 }),
      ...wireguard.describe(network),
    }
  }

  const prepare = async (network: ClusterNetwork): Promise<void> => {
    await wireguard.prepare(network).catch((error: unknown) => {
      if (isPodwireError(error) && error.code === 'WIREGUARD_UNAVAILABLE') unfit = error
      throw error
    })
  }

  const member = startMember({
    etcd,
    keys,
    nodeName,
    describe,
    prepare,
    isTold: (error) => isStarting && error === unfit,
    leaseTtl,
    renewBefore,
    stateDir,
    log,
    ...(now ? { now } : {}),
    onChange: changed,
    onHeld: ({ backend, ...network }, ms) =>
      guard.open(rangesOf(network), { backend, link: underlay.name, ms }),
  })
  const table = keepLeaseTable({
    etcd,
    keys,
    log,
    onChanges: (changes) => {
      member.noticed(changes)
      pods?.placed(member.membership, table.entries)
      if (member.membership.state === 'joined') void route(member.membership)
    },
    onProblem: (problem) => member.unheard(problem),
  })

  /** What failed is tried again by itself, and told as the routes' problem. */
  async function route({ lease, network }: Extract<Membership, { state: 'joined' }>): Promise<void> {
    // While nobody tells of the leases, the routes are left as an earlier process made them.
    if (!table.entries) return
    const self = { nodeName, subnets: lease.subnets, networks: rangesOf(network) }
    const { backend } = network
    const peers = [...table.entries.values()].filter((entry) => !isKept(entry))
    try {
      wanted =
        backend.type === 'wireguard'
          ? wireguard.wanted(self, peers, backend, underlay)
          : wantedFor(self, peers, backend, underlay)
      keyProblem = undefined
    } catch (error) {
      // Its key can't be read or written.
      if (keyProblem !== messageOf(error)) log.error(`cluster: ${messageOf(error)}`, { error })
      keyProblem = messageOf(error)
      return
    }
    await routes.apply(wanted).catch(() => {})
  }

  function changed(membership: Membership): void {
    // Whatever is made below is there by then.
    void Promise.resolve().then(() => pods?.placed(member.membership, table.entries))
    if (membership.state !== 'joined') {
      wanted = NOTHING
      guard.shut()
      void routes.withdraw().catch(() => {})
      teller.tell({ event: 'fenced', reason: membership.reason })
      return
    }
    const { lease, network } = membership
    joining = (async () => {
      // Whatever is made below is there by then.
      await Promise.resolve()
      // A route of before may lead to what is now this node's own.
      await route(membership)
      const now = member.membership
      if (now.state !== 'joined' || now.lease.key !== lease.key) return
      const share = shareOf(lease.subnets, networksOf(network), network.backend, underlay)
      teller.tell({ event: 'joined', share })
    })()
  }

  await firstAttempt(member.attempted)
  await joining
  await teller.done()

  const cluster: Cluster = {
    get share() {
      const { membership } = member
      if (membership.state !== 'joined') return undefined
      const { lease, network } = membership
      return shareOf(lease.subnets, networksOf(network), network.backend, underlay)
    },
    get problem() {
      const { membership } = member
      if (membership.state !== 'joined') return membership.reason
      return membership.reason ?? table.problem ?? keyProblem ?? routes.problem ?? pods?.problem
    },
    ...(pods ? { pods } : {}),
    holds: () => member.holds(),
    peers: () => {
      const own = member.membership.state === 'joined' ? member.membership.lease.key : undefined
      return [...(table.entries?.values() ?? [])]
        .filter(({ key }) => key !== own)
        .map((entry): PeerStatus => {
          const { node, subnets } = entry
          const address = node?.publicIP ?? node?.publicIPv6
          const problem = wanted.unreachable.get(entry)
          return {
            podCIDR: podCIDROf(subnets),
            ...(node?.nodeName === undefined ? {} : { nodeName: node.nodeName }),
            ...(address === undefined ? {} : { publicIP: address }),
            ...(problem === undefined ? {} : { problem }),
          }
        })
    },
    async stop({ release = false } = {}) {
      await pods?.leave({ release })
      const left = member
        .stop({ release })
        .catch((error: unknown) => log.warn(`cluster: the lease is not released: ${messageOf(error)}`))
      // What is asked of an etcd that is away would be waited for.
      if (!release) etcd.close()
      await Promise.all([table.stop(), pods?.stop()])
      await left
      if (release) await routes.withdraw({ leaves: true }).catch(() => {})
      if (release) guard.remove()
      await routes.close()
      await guard.close()
      etcd.close()
      await teller.done()
    },
  }
  isStarting = false
  if (unfit === undefined) return cluster
  await cluster.stop()
  throw unfit
}

/** Reserved, and no node has it: there is nothing to lead to. */
const isKept = ({ lease, node }: LeaseEntry) =>
  lease === undefined && node !== undefined && node.publicIP === undefined && node.publicIPv6 === undefined

async function lookForUnderlay(options: UnderlayOptions) {
  const netlink = openNetlink()
  try {
    return await findUnderlay(netlink, options)
  } finally {
    netlink.close()
  }
}
