import type { NewLink } from '@podwire/netlink'
import type { PodSubnets } from '../layout/pod-subnets.ts'
import { firstAddress, type IpFamily } from '../layout/range.ts'
import type { WireguardBackend } from '../layout/wireguard-backend.ts'
import type { Underlay } from './underlay.ts'

/** A link that carries packets to other nodes encrypted, in UDP. */
export interface WireguardLink {
  readonly kind: 'wireguard'
  readonly name: string
  readonly port: number
  readonly mtu: number
  /** This node's addresses on it, with prefix length. */
  readonly podAddresses: readonly string[]
}

/** One name on all nodes, where each family has a link of its own one of each, as flannel's have. */
export const wireguardNames: Readonly<Record<IpFamily, string>> = { 4: 'podwire-wg', 6: 'podwire-wg-v6' }

// IPv6, UDP, and what WireGuard puts around a packet; flannel leaves as much over IPv4.
const overhead = 40 + 8 + 32

/** What of a link's MTU is left for pods, in bytes. */
export const wireguardMtu = (mtu: number) => mtu - overhead

export const newWireguardLink = ({ name, mtu }: WireguardLink): NewLink => ({ kind: 'wireguard', name, mtu })

/** The family whose link packets to pods of that family take. */
export const linkFamily = (family: IpFamily, { mode }: WireguardBackend): IpFamily =>
  mode === 'separate' ? family : 4

/** The links of this node: one, or where each family has its own those that it has an address for. */
export function wireguardLinks(
  { ipv4, ipv6 }: PodSubnets,
  backend: WireguardBackend,
  { mtu, publicIP, publicIPv6 }: Underlay,
): WireguardLink[] {
  const own4 = ipv4 ? [`${firstAddress(ipv4)}/32`] : []
  const own6 = ipv6 ? [`${firstAddress(ipv6)}/128`] : []
  const link = (family: IpFamily, port: number, podAddresses: readonly string[]): WireguardLink[] =>
    podAddresses.length === 0
      ? []
      : [{ kind: 'wireguard', name: wireguardNames[family], port, mtu: wireguardMtu(mtu), podAddresses }]
  if (backend.mode !== 'separate') return link(4, backend.port, [...own4, ...own6])
  return [
    ...link(4, backend.port, publicIP === undefined ? [] : own4),
    ...link(6, backend.portV6, publicIPv6 === undefined ? [] : own6),
  ]
}
