import { BlockList, isIPv4 } from 'node:net'
import { once } from '@podwire/api'
import type { WireguardEndpoint } from '@podwire/netlink'
import type { NodeValue } from '../layout/lease-value.ts'
import { formatSubnet, type IpFamily, type Subnet } from '../layout/range.ts'
import type { WireguardBackend } from '../layout/wireguard-backend.ts'
import { takenSubnets } from './taken-subnets.ts'
import type { WantedTunnel } from './tunnel.ts'
import type { Underlay } from './underlay.ts'
import {
  isOwnSubnet,
  notRoutable,
  type Peer,
  type Self,
  unusableAddress,
  type Wanted,
  type WantedRoute,
} from './wanted.ts'
import type { WireguardKey } from './wireguard-key.ts'
import { linkFamily, type WireguardLink, wireguardLinks, wireguardNames } from './wireguard-link.ts'

interface TunnelPeerInTheMaking {
  readonly of: Peer
  readonly endpoint: WireguardEndpoint
  readonly allowedIps: string[]
}

/**
 * What the kernel should have for the pods of other nodes where the network is encrypted, computed from the leases alone: a peer for each
 * node, which may send from its own pods' addresses and no others, and a route to these.
 * @param peers may have this node's own among them; of two that want the same the first one has it
 */
export function wantedByWireguard(
  self: Self,
  peers: Iterable<Peer>,
  backend: WireguardBackend,
  underlay: Underlay,
  key: WireguardKey,
): Wanted {
  const links = wireguardLinks(self.subnets, backend, underlay)
  const routes: WantedRoute[] = []
  const unreachable = new Map<Peer, string>()
  const taken = takenSubnets()
  /** By the name of the link, and by public key. */
  const tunnels = new Map(links.map(({ name }) => [name, new Map<string, TunnelPeerInTheMaking>()]))
  for (const peer of peers) {
    for (const subnet of [peer.subnets.ipv4, peer.subnets.ipv6]) {
      if (!subnet || isOwnSubnet(self, subnet)) continue
      const way =
        notRoutable(subnet, self) ??
        (taken.overlaps(subnet) ? "it has addresses of another lease's" : undefined) ??
        wayTo(subnet, peer, self, backend, underlay, links)
      const others = typeof way === 'string' ? undefined : tunnels.get(way.dev)
      const problem = typeof way === 'string' ? way : clashOf(way.publicKey, peer, key, others)
      if (problem !== undefined) unreachable.set(peer, problem)
      if (typeof way === 'string' || problem !== undefined) continue
      const { dev, publicKey, endpoint } = way
      const made = others?.get(publicKey) ?? { of: peer, endpoint, allowedIps: [] }
      made.allowedIps.push(formatSubnet(subnet))
      others?.set(publicKey, made)
      taken.add(subnet)
      routes.push({ destination: formatSubnet(subnet), dev, onlink: false })
    }
  }
  const { presharedKey, keepalive } = backend
  return {
    links,
    routes,
    ends: [],
    tunnels: links.map(
      ({ name, port }): WantedTunnel => ({
        name,
        port,
        key,
        keepalive,
        ...(presharedKey === undefined ? {} : { presharedKey }),
        peers: new Map(
          [...(tunnels.get(name) ?? [])].map(([publicKey, { endpoint, allowedIps }]) => [
            publicKey,
            { endpoint, allowedIps },
          ]),
        ),
      }),
    ),
    networks: self.networks,
    unreachable,
  }
}

interface Way {
  readonly dev: string
  readonly publicKey: string
  readonly endpoint: WireguardEndpoint
}

function wayTo(
  subnet: Subnet,
  { node }: Peer,
  self: Self,
  backend: WireguardBackend,
  underlay: Underlay,
  links: readonly WireguardLink[],
): string | Way {
  if (!node) return 'what is written of it is not a lease'
  if (node.backendType !== backend.type)
    return `its backend is ${node.backendType}, and the network's ${backend.type}`
  const { family } = subnet
  const outer = outerFamily(family, node, backend, underlay)
  const address = outer === 4 ? node.publicIP : node.publicIPv6
  if (address === undefined) return `its IPv${outer} address is not known`
  const unusable = unusableAddress(address, self, underlay)
  if (unusable !== undefined) return unusable
  const link = links.find(({ name }) => name === wireguardNames[linkFamily(family, backend)])
  if (!link) return `this node has no IPv${family} address to send to it by`
  const publicKey = family === 4 ? node.publicKey : node.publicKey6
  if (publicKey === undefined) return 'its public key is not known'
  return { dev: link.name, publicKey, endpoint: { address, port: link.port } }
}

/** The kernel has one peer for a public key. */
function clashOf(
  publicKey: string,
  peer: Peer,
  key: WireguardKey,
  others: ReadonlyMap<string, TunnelPeerInTheMaking> | undefined,
): string | undefined {
  if (publicKey === key.publicKey) return "its public key is this node's own"
  const other = others?.get(publicKey)
  return other && other.of !== peer ? "its public key is another node's too" : undefined
}

/** The family of the packets in which those of pods of that family travel. */
function outerFamily(
  family: IpFamily,
  { publicIP, publicIPv6 }: NodeValue,
  { mode }: WireguardBackend,
  underlay: Underlay,
): IpFamily {
  if (mode === 'separate') return family
  if (mode === 'ipv4') return 4
  if (mode === 'ipv6') return 6
  // As flannel chooses: what is most likely to arrive.
  if (publicIP === undefined || publicIPv6 === undefined) return publicIP === undefined ? 6 : 4
  if (!isPrivate(publicIP) && underlay.publicIP !== undefined) return 4
  const isReached = underlay.publicIPv6 !== undefined && !isPrivate(underlay.publicIPv6)
  return !isPrivate(publicIPv6) && isReached ? 6 : 4
}

const privateAddresses = once(() => {
  const list = new BlockList()
  for (const [network, length] of [
    ['10.0.0.0', 8],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
  ] as const)
    list.addSubnet(network, length, 'ipv4')
  list.addSubnet('fc00::', 7, 'ipv6')
  return list
})

const isPrivate = (address: string) => privateAddresses().check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
