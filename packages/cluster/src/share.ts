import type { ClusterShare } from './cluster.ts'
import type { Backend } from './layout/network.ts'
import { type PodSubnets, podCIDROf } from './layout/pod-subnets.ts'
import type { Underlay } from './routes/underlay.ts'
import { innerMtu } from './routes/vxlan-link.ts'
import { wireguardMtu } from './routes/wireguard-link.ts'

export function shareOf(
  subnets: PodSubnets,
  networks: readonly string[],
  backend: Backend,
  { mtu, publicIP }: Underlay,
): ClusterShare {
  return {
    podCIDR: podCIDROf(subnets),
    subnets,
    networks,
    // A pod's packets must fit into the larger of what is put around them.
    ...(backend.type === 'vxlan'
      ? { mtu: innerMtu(mtu, subnets.ipv6 || publicIP === undefined ? 6 : 4) }
      : {}),
    ...(backend.type === 'wireguard' ? { mtu: wireguardMtu(mtu) } : {}),
  }
}
