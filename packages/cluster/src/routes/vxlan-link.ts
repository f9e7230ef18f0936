import { hash } from 'node:crypto'
import type { Link, NewLink } from '@podwire/netlink'
import type { IpFamily } from '../layout/range.ts'

/** A link that carries packets to other nodes in UDP. */
export interface VxlanLink {
  readonly name: string
  readonly vni: number
  readonly port: number
  /** This node's end. */
  readonly local: string
  /** Index of the link below. */
  readonly dev: number
  readonly mtu: number
  /** MAC address. */
  readonly address: string
  /** This node's address on it, with prefix length. */
  readonly podAddress: string
}

// What the packets around a pod's have: IP, UDP, vxlan and the inner Ethernet.
const overhead: Readonly<Record<IpFamily, number>> = { 4: 50, 6: 70 }

/** What of a link's MTU is left for pods, in bytes. */
export const innerMtu = (mtu: number, outer: IpFamily) => mtu - overhead[outer]

/** The network's links have one name on all nodes, of each family its own, as flannel's have. */
export const vxlanName = (vni: number, family: IpFamily) =>
  family === 4 ? `podwire.${vni}` : `podwire-v6.${vni}`

/**
 * The MAC address of a node's link. It follows from what the node is, so that a link that is made anew, by a reboot or by hand,
 * has the one that the other nodes know.
 */
export function vtepMacOf(nodeName: string, vni: number, family: IpFamily): string {
  const digest = hash('sha256', `podwire vxlan ${nodeName} ${vni} ${family}`)
  // Locally administered, and of one station.
  return `0a:${(digest.slice(0, 10).match(/../g) ?? []).join(':')}`
}

export function newVxlanLink(link: VxlanLink): NewLink {
  const { name, vni, port, local, dev, mtu, address } = link
  // Learning is for networks that flood: here every end is known, and a pod must not teach the node another one.
  return { kind: 'vxlan', name, vni, port, local, dev, mtu, address, learning: false }
}

/** Whether the link that is there differs in what the kernel does not change. */
export function vxlanDiffers({ vxlan, address }: Link, wanted: VxlanLink): boolean {
  return (
    vxlan?.vni !== wanted.vni ||
    vxlan.port !== wanted.port ||
    vxlan.local !== wanted.local ||
    vxlan.link !== wanted.dev ||
    vxlan.learning ||
    address !== wanted.address
  )
}
