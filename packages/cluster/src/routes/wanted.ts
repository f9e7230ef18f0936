import type { NodeValue } from '../layout/lease-value.ts'
import type { PlainBackend } from '../layout/network.ts'
import type { PodSubnets } from '../layout/pod-subnets.ts'
import {
  firstAddress,
  formatSubnet,
  type IpFamily,
  isWithin,
  overlaps,
  parseSubnet,
  type Subnet,
} from '../layout/range.ts'
import type { ClusterLink } from './cluster-link.ts'
import { type TakenSubnets, takenSubnets } from './taken-subnets.ts'
import type { WantedTunnel } from './tunnel.ts'
import type { Underlay } from './underlay.ts'
import { innerMtu, type VxlanLink, vtepMacOf, vxlanName } from './vxlan-link.ts'

/** A node's subnets and how it is reached. */
export interface Peer {
  readonly subnets: PodSubnets
  /** Undefined: nobody knows whose it is. */
  readonly node?: NodeValue
}

/** This node, and what all of them share. */
export interface Self {
  readonly nodeName: string
  readonly subnets: PodSubnets
  /** What nodes' subnets are of: nobody's lease leads other addresses anywhere. */
  readonly networks: readonly Subnet[]
}

export interface WantedRoute {
  readonly destination: string
  /** Absent: the link has no neighbours, as one of WireGuard. */
  readonly gateway?: string
  /** The name of a link of ours, or the index of the node's own link. */
  readonly dev: string | number
  /** The gateway is the other end of the vxlan link, whatever its addresses say. */
  readonly onlink: boolean
}

/** How a gateway beyond a vxlan link is reached. */
export interface WantedEnd {
  readonly dev: string
  readonly gateway: string
  readonly lladdr: string
  readonly destination: string
}

/** What the kernel should have for the pods of other nodes. */
export interface Wanted {
  readonly links: readonly ClusterLink[]
  readonly routes: readonly WantedRoute[]
  readonly ends: readonly WantedEnd[]
  /** Of the links that encrypt. */
  readonly tunnels: readonly WantedTunnel[]
  /** What all nodes' pods have. Empty: nothing is said of it. */
  readonly networks: readonly Subnet[]
  /** Why a peer's pods can't be reached, by its subnets. */
  readonly unreachable: ReadonlyMap<Peer, string>
}

interface Way {
  readonly route: WantedRoute
  readonly end?: WantedEnd
}

export const NOTHING: Wanted = {
  links: [],
  routes: [],
  ends: [],
  tunnels: [],
  networks: [],
  unreachable: new Map(),
}

/** Computes it from the leases alone. @param peers may have this node's own among them */
export function wantedFor(
  self: Self,
  peers: Iterable<Peer>,
  backend: PlainBackend,
  underlay: Underlay,
): Wanted {
  const links = backend.type === 'vxlan' ? vxlanLinks(self, backend, underlay) : []
  const routes: WantedRoute[] = []
  const taken = takenSubnets()
  const ends = new Map<string, WantedEnd>()
  const unreachable = new Map<Peer, string>()
  for (const peer of peers) {
    const { ipv4, ipv6 } = peer.subnets
    for (const subnet of [ipv4, ipv6]) {
      if (!subnet || isOwnSubnet(self, subnet)) continue
      const way = notRoutable(subnet, self) ?? wayTo(subnet, peer, self, backend, underlay, links)
      const problem = typeof way === 'string' ? way : clashOf(subnet, way, taken, ends)
      if (problem !== undefined) unreachable.set(peer, problem)
      if (typeof way === 'string' || problem !== undefined) continue
      routes.push(way.route)
      taken.add(subnet)
      if (way.end) ends.set(`${way.end.dev} ${way.end.lladdr}`, way.end)
    }
  }
  return { links, routes, ends: [...ends.values()], tunnels: [], networks: self.networks, unreachable }
}

/** What is written of it may be anything: no lease leads this node's own pods, or what is no pod's, elsewhere. */
export function notRoutable(subnet: Subnet, self: Self): string | undefined {
  const own = ownOf(self, subnet)
  if (!self.networks.some((network) => isWithin(subnet, network))) return 'it is not of the network'
  return own && overlaps(own, subnet) ? "it has addresses of this node's own pod CIDR" : undefined
}

/** Why nothing is sent to a node by the address that its lease gives. */
export function unusableAddress(address: string, { networks }: Self, underlay: Underlay): string | undefined {
  if ([underlay.publicIP, underlay.publicIPv6, ...underlay.own].includes(address))
    return `its address ${address} is this node's own`
  // What is sent to it would be sent to it again.
  return isOfOne(address, networks) ? `its address ${address} is one of pods` : undefined
}

/** No address has two ways, nor a MAC address two ends: the first one stays. */
function clashOf(
  subnet: Subnet,
  { end }: Way,
  taken: TakenSubnets,
  ends: ReadonlyMap<string, WantedEnd>,
): string | undefined {
  if (taken.overlaps(subnet)) return 'another lease has the same addresses'
  if (end && ends.has(`${end.dev} ${end.lladdr}`)) return "its MAC address is another node's too"
  return undefined
}

const ownOf = ({ subnets: { ipv4, ipv6 } }: Self, { family }: Subnet) => (family === 4 ? ipv4 : ipv6)

export function isOwnSubnet(self: Self, subnet: Subnet): boolean {
  const own = ownOf(self, subnet)
  return own?.first === subnet.first && own.prefixLength === subnet.prefixLength
}

function wayTo(
  subnet: Subnet,
  { node }: Peer,
  self: Self,
  backend: PlainBackend,
  underlay: Underlay,
  links: readonly VxlanLink[],
): string | Way {
  if (!node) return 'what is written of it is not a lease'
  const { family } = subnet
  const address = family === 4 ? node.publicIP : node.publicIPv6
  if (address === undefined) return `its IPv${family} address is not known`
  const unusable = unusableAddress(address, self, underlay)
  if (unusable !== undefined) return unusable
  if (node.backendType !== backend.type)
    return `its backend is ${node.backendType}, and the network's ${backend.type}`
  const destination = formatSubnet(subnet)
  const isNear = isOnLink(address, underlay)
  if (backend.type === 'host-gw' || (backend.directRouting && isNear)) {
    if (!isNear) return `${address} is not on the link ${underlay.name}, as host-gw needs; vxlan does not`
    return { route: { destination, gateway: address, dev: underlay.dev, onlink: false } }
  }
  const link = links.find(({ name }) => name === vxlanName(backend.vni, family))
  if (!link) return `this node has no IPv${family} address to send to it by`
  const lladdr = family === 4 ? node.vtepMac : node.vtepMac6
  if (lladdr === undefined) return "its vxlan link's MAC address is not known"
  const gateway = firstAddress(subnet)
  return {
    route: { destination, gateway, dev: link.name, onlink: true },
    end: { dev: link.name, gateway, lladdr, destination: address },
  }
}

const isOnLink = (address: string, { onLink }: Underlay) =>
  isOfOne(
    address,
    onLink.flatMap((text) => parseSubnet(text) ?? []),
  )

function isOfOne(address: string, subnets: readonly Subnet[]): boolean {
  const one = parseSubnet(`${address}/${address.includes(':') ? 128 : 32}`)
  return one !== undefined && subnets.some((subnet) => isWithin(one, subnet))
}

function vxlanLinks(
  { nodeName, subnets }: Self,
  { vni, port }: Extract<PlainBackend, { type: 'vxlan' }>,
  { dev, mtu, publicIP, publicIPv6 }: Underlay,
): VxlanLink[] {
  const link = (family: IpFamily, subnet: Subnet | undefined, local: string | undefined): VxlanLink[] =>
    subnet === undefined || local === undefined
      ? []
      : [
          {
            name: vxlanName(vni, family),
            vni,
            port,
            local,
            dev,
            mtu: innerMtu(mtu, family),
            address: vtepMacOf(nodeName, vni, family),
            podAddress: `${firstAddress(subnet)}/${family === 4 ? 32 : 128}`,
          },
        ]
  return [...link(4, subnets.ipv4, publicIP), ...link(6, subnets.ipv6, publicIPv6)]
}
