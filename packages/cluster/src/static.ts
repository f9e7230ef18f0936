import { openNetlink } from '@podwire/netlink'
import type { Cluster, ClusterContext, PeerStatus } from './cluster.ts'
import { errors } from './errors.ts'
import { createTeller } from './events.ts'
import type { NodeValue } from './layout/lease-value.ts'
import type { PlainBackend } from './layout/network.ts'
import { haveInCommon, parsePodSubnets, podCIDROf, subnetsOf } from './layout/pod-subnets.ts'
import { canonicalAddress, formatSubnet } from './layout/range.ts'
import { removeLeaseGuard } from './routes/lease-guard.ts'
import { openRoutes } from './routes/routes.ts'
import { findUnderlay, type UnderlayOptions } from './routes/underlay.ts'
import { vtepMacOf } from './routes/vxlan-link.ts'
import { wantedFor } from './routes/wanted.ts'
import { shareOf } from './share.ts'

/** A node of a network that somebody wrote down. */
export interface StaticNode {
  readonly node: string
  readonly podCIDR: string
  readonly publicIP: string
}

export interface StaticOptions extends Pick<UnderlayOptions, 'interface'>, ClusterContext {
  readonly nodes: readonly StaticNode[]
  readonly nodeName: string
  readonly backend: PlainBackend
}

/**
 * Makes routes to the pods of the nodes that are written down: no etcd, no leases, and nobody who looks whether two nodes have one
 * pod CIDR but this list.
 * @throws PodwireError `STATIC_NODE_UNKNOWN`, `STATIC_NODES_OVERLAP`, `NO_PUBLIC_ADDRESS`
 */
export async function joinStatic(options: StaticOptions): Promise<Cluster> {
  const { nodes, nodeName, backend, log, onEvent } = options
  const peers = nodes.map((node) => ({
    ...node,
    publicIP: canonicalAddress(node.publicIP),
    subnets: parsePodSubnets(node.podCIDR) ?? {},
  }))
  const own = peers.find(({ node }) => node === nodeName)
  if (!own) throw errors.STATIC_NODE_UNKNOWN({ nodeName, nodes: nodes.map(({ node }) => node) })
  for (const [at, one] of peers.entries()) {
    const other = peers.slice(0, at).find(({ subnets }) => haveInCommon(subnets, one.subnets))
    if (other)
      throw errors.STATIC_NODES_OVERLAP({ one: other.node, other: one.node, podCIDR: podCIDROf(one.subnets) })
  }
  const isIPv6 = own.publicIP.includes(':')
  const netlink = openNetlink()
  const underlay = await findUnderlay(netlink, {
    ...(isIPv6 ? { publicIPv6: own.publicIP } : { publicIP: own.publicIP }),
    interface: options.interface,
  }).finally(() => netlink.close())

  const describe = ({ node, publicIP }: StaticNode): NodeValue => {
    const vni = backend.type === 'vxlan' ? backend.vni : undefined
    const six = publicIP.includes(':')
    return {
      nodeName: node,
      ...(six ? { publicIPv6: publicIP } : { publicIP }),
      backendType: backend.type,
      // It follows from the name, so that nobody has to write it down.
      ...(vni === undefined
        ? {}
        : six
          ? { vtepMac6: vtepMacOf(node, vni, 6) }
          : { vtepMac: vtepMacOf(node, vni, 4) }),
    }
  }
  const known = peers.map((peer) => ({ subnets: peer.subnets, node: describe(peer) }))
  const networks = peers.flatMap(({ subnets }) => subnetsOf(subnets).map(formatSubnet))
  const share = shareOf(own.subnets, networks, backend, underlay)
  const teller = createTeller(onEvent, log)
  await removeLeaseGuard(log)
  const routes = openRoutes({ log, onRepair: (what) => teller.tell({ event: 'repaired', what }) })
  const all = peers.flatMap(({ subnets }) => subnetsOf(subnets))
  const self = { nodeName, subnets: own.subnets, networks: all }
  const wanted = wantedFor(self, known, backend, underlay)
  // What fails is tried again, and told as a problem.
  await routes.apply(wanted).catch(() => {})
  teller.tell({ event: 'joined', share })
  await teller.done()
  return {
    share,
    get problem() {
      return routes.problem
    },
    holds: () => true,
    peers: () =>
      known
        .filter(({ node }) => node.nodeName !== nodeName)
        .map((peer): PeerStatus => {
          const problem = wanted.unreachable.get(peer)
          const publicIP = peer.node.publicIP ?? peer.node.publicIPv6
          return {
            podCIDR: podCIDROf(peer.subnets),
            ...(peer.node.nodeName === undefined ? {} : { nodeName: peer.node.nodeName }),
            ...(publicIP === undefined ? {} : { publicIP }),
            ...(problem === undefined ? {} : { problem }),
          }
        }),
    async stop() {
      await routes.close()
      await teller.done()
    },
  }
}
