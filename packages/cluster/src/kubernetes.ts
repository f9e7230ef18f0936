import { openNetlink } from '@podwire/netlink'
import type { Cluster, ClusterContext, ClusterShare, PeerStatus } from './cluster.ts'
import { createTeller } from './events.ts'
import { firstAttempt } from './first-attempt.ts'
import type { KubernetesAccess } from './kubernetes/access.ts'
import type { KubernetesNode } from './kubernetes/node.ts'
import { keepNodeTable } from './kubernetes/node-table.ts'
import type { NodeValue } from './layout/lease-value.ts'
import type { PlainBackend } from './layout/network.ts'
import { parsePodSubnets, podCIDROf, subnetsOf } from './layout/pod-subnets.ts'
import { removeLeaseGuard } from './routes/lease-guard.ts'
import { openRoutes } from './routes/routes.ts'
import { findUnderlay, type UnderlayOptions } from './routes/underlay.ts'
import { vtepMacOf } from './routes/vxlan-link.ts'
import { NOTHING, type Peer, wantedFor } from './routes/wanted.ts'
import { shareOf } from './share.ts'

export interface KubernetesOptions extends UnderlayOptions, ClusterContext {
  readonly access: KubernetesAccess
  readonly nodeName: string
  /** What all pods of all nodes have: `10.244.0.0/16`, or one of each family separated by a comma. */
  readonly clusterCIDR: string
  readonly backend: PlainBackend
}

/**
 * Takes the pod CIDR that Kubernetes gave this node, and makes routes to the pods of its other Nodes, on which Podwire runs too. While
 * the API server is away everything stays as it is: a Node's pod CIDR has no end.
 * @throws PodwireError `NO_PUBLIC_ADDRESS`
 */
export async function joinKubernetes(options: KubernetesOptions): Promise<Cluster> {
  const { access, nodeName, clusterCIDR, backend, log, onEvent } = options
  const netlink = openNetlink()
  const underlay = await findUnderlay(netlink, options).finally(() => netlink.close())
  const networks = subnetsOf(parsePodSubnets(clusterCIDR) ?? {})
  const teller = createTeller(onEvent, log)
  await removeLeaseGuard(log)
  const routes = openRoutes({ log, onRepair: (what) => teller.tell({ event: 'repaired', what }) })
  let share: ClusterShare | undefined
  let wanted = NOTHING
  let peers: (Peer & { readonly node: NodeValue })[] = []

  const table = keepNodeTable({ access, log, onChange: changed })

  function changed({ nodes }: { readonly nodes: ReadonlyMap<string, KubernetesNode> | undefined }): void {
    const own = nodes?.get(nodeName)?.subnets
    if (!own) {
      if (share) teller.tell({ event: 'fenced', reason: reasonWithout(nodes) })
      share = undefined
      wanted = NOTHING
      void routes.withdraw().catch(() => {})
      return
    }
    peers = [...(nodes?.values() ?? [])].flatMap((node) =>
      node.subnets && node.name !== nodeName ? [{ subnets: node.subnets, node: describe(node) }] : [],
    )
    wanted = wantedFor({ nodeName, subnets: own, networks }, peers, backend, underlay)
    const next = shareOf(own, clusterCIDR.split(','), backend, underlay)
    const isNew = share?.podCIDR !== next.podCIDR
    share = next
    // What fails is tried again by itself, and told as the routes' problem.
    const applied = routes.apply(wanted).catch(() => {})
    if (!isNew) return
    void applied.then(() => {
      // It may be fenced meanwhile, or have another one.
      if (share?.podCIDR === next.podCIDR) teller.tell({ event: 'joined', share: next })
    })
  }

  const describe = ({ name, publicIP, publicIPv6 }: KubernetesNode): NodeValue => ({
    nodeName: name,
    ...(publicIP === undefined ? {} : { publicIP }),
    ...(publicIPv6 === undefined ? {} : { publicIPv6 }),
    backendType: backend.type,
    // It follows from the name: a Node has nowhere to say it.
    ...(backend.type === 'vxlan'
      ? { vtepMac: vtepMacOf(name, backend.vni, 4), vtepMac6: vtepMacOf(name, backend.vni, 6) }
      : {}),
  })

  const reasonWithout = (nodes: ReadonlyMap<string, KubernetesNode> | undefined) =>
    nodes?.has(nodeName)
      ? `Kubernetes has given Node ${nodeName} no pod CIDR`
      : nodes
        ? `Kubernetes has no Node ${nodeName}`
        : (table.problem ?? 'Nodes were not listed yet')

  await firstAttempt(table.attempted)

  return {
    get share() {
      return share
    },
    get problem() {
      return share ? (table.problem ?? routes.problem) : reasonWithout(table.nodes)
    },
    holds: () => share !== undefined,
    peers: () =>
      peers.map((peer): PeerStatus => {
        const { nodeName: name, publicIP, publicIPv6 } = peer.node
        const address = publicIP ?? publicIPv6
        const problem = wanted.unreachable.get(peer)
        return {
          podCIDR: podCIDROf(peer.subnets),
          ...(name === undefined ? {} : { nodeName: name }),
          ...(address === undefined ? {} : { publicIP: address }),
          ...(problem === undefined ? {} : { problem }),
        }
      }),
    async stop() {
      await table.stop()
      await routes.close()
      await teller.done()
    },
  }
}
