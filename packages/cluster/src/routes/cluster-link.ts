import type { Link, NewLink } from '@podwire/netlink'
import type { Backend } from '../layout/network.ts'
import { newVxlanLink, type VxlanLink, vxlanDiffers, vxlanName } from './vxlan-link.ts'
import { newWireguardLink, type WireguardLink, wireguardNames } from './wireguard-link.ts'

/** A link of this node for packets to pods of others. */
export type ClusterLink = VxlanLink | WireguardLink

export const isWireguard = (link: ClusterLink): link is WireguardLink => 'kind' in link

export const newClusterLink = (link: ClusterLink): NewLink =>
  isWireguard(link) ? newWireguardLink(link) : newVxlanLink(link)

export const podAddressesOf = (link: ClusterLink): readonly string[] =>
  isWireguard(link) ? link.podAddresses : [link.podAddress]

/** Whether the link that is there can't become the wanted one: the kernel changes none of these. */
export const mustBeMadeAnew = (there: Link, wanted: ClusterLink): boolean =>
  isWireguard(wanted) ? there.kind !== wanted.kind : vxlanDiffers(there, wanted)

/** What the links are called that packets take by this backend, where it has any. */
export function linkNamesOf(backend: Backend): readonly string[] {
  if (backend.type === 'vxlan') return ([4, 6] as const).map((family) => vxlanName(backend.vni, family))
  return backend.type === 'wireguard' ? Object.values(wireguardNames) : []
}
