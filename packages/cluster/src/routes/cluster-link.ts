import type { Link, NewLink } from '@podwire/netlink'
import { newVxlanLink, type VxlanLink, vxlanDiffers } from './vxlan-link.ts'
import { newWireguardLink, type WireguardLink } from './wireguard-link.ts'

/** A link of this node for packets to pods of others. */
export type ClusterLink = VxlanLink | WireguardLink

const isWireguard = (link: ClusterLink): link is WireguardLink => 'kind' in link

export const newClusterLink = (link: ClusterLink): NewLink =>
  isWireguard(link) ? newWireguardLink(link) : newVxlanLink(link)

export const podAddressesOf = (link: ClusterLink): readonly string[] =>
  isWireguard(link) ? link.podAddresses : [link.podAddress]

/** Whether the link that is there can't become the wanted one: the kernel changes none of these. */
export const mustBeMadeAnew = (there: Link, wanted: ClusterLink): boolean =>
  isWireguard(wanted) ? there.kind !== wanted.kind : vxlanDiffers(there, wanted)
