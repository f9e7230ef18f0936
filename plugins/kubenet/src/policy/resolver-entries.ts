import { concatenate, type Element, elements, linkName } from '@podwire/netlink/nftables'
import { be16, encodeIp } from '@podwire/netlink/transport'
import type { Firewall } from '../firewall/firewall.ts'
import { families, setNames } from '../firewall/layout.ts'
import { familyOf } from '../ipam/cidr.ts'
import { isUdpPortOpen } from '../kernel/udp-ports.ts'
import type { PodRecord } from '../pod-record.ts'
import { ifThere } from './in-kernel.ts'

/** An element of a map that all pods share. */
export interface Entry {
  readonly map: string
  readonly element: Element
}

/** The maps that lead pods' questions for names to whoever answers them. */
export const resolverMaps: readonly string[] = families.map((family) => setNames(family).resolvers)

/** Lead what a pod asks to a port of the host, by whatever address it asks. */
export const resolverEntries = ({ addresses }: PodRecord, link: string, port: number): Entry[] =>
  addresses.map(({ gateway }) => ({
    map: setNames(familyOf(gateway) ?? 4).resolvers,
    element: { key: linkName(link), value: concatenate(encodeIp(gateway), be16(port)) },
  }))

/** Whether somebody listens where the questions of a link's pod are led, this process or another one. */
export function isAnsweredByAnybody(firewall: Firewall, link: string): boolean {
  const found = resolverMaps.flatMap(
    (set) =>
      ifThere(() => firewall.ask((table) => elements.get({ ...table, set }, linkName(link))))?.value ?? [],
  )
  // The value is an address and a port, in network order.
  const ports = found.flatMap((value) =>
    value instanceof Uint8Array ? [Buffer.from(value).readUInt16BE(value.length - 4)] : [],
  )
  return ports.length > 0 && ports.every(isUdpPortOpen)
}
