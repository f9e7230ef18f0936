import type { PortMapping } from '@podwire/api'
import { decodeIp, encodeIp } from '@podwire/netlink/transport'
import { familyOf } from '../ipam/cidr.ts'
import { type MapElement, setNames } from './layout.ts'

/** A pod's addresses, and the ports of the host that lead there. */
export interface Published {
  readonly addresses: readonly { readonly address: string }[]
  readonly ports: readonly PortMapping[]
}

/** An element of one of the firewall's maps. */
export interface PortElement {
  readonly map: string
  readonly element: MapElement
  readonly mapping: PortMapping
}

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const

/**
 * The map elements that publish a pod's ports, for each of its families that the mapping's hostIP admits; each once, however
 * often it is asked for.
 */
export function portElements({ addresses, ports }: Published): PortElement[] {
  const all = ports.flatMap((mapping) =>
    addresses
      .filter(({ address }) => admits(mapping, address))
      .map(({ address }) => elementOf(mapping, address)),
  )
  return all.length < 2 ? all : [...new Map(all.map((element) => [elementKey(element), element])).values()]
}

/** Whether the mapping leads to this address: it has the family that is asked for. */
export const admits = ({ hostIP }: PortMapping, address: string) =>
  !hostIP || familyOf(hostIP) === familyOf(address)

function elementOf(mapping: PortMapping, address: string): PortElement {
  const { hostIP, hostPort, containerPort, protocol } = mapping
  const names = setNames(address.includes(':') ? 6 : 4)
  const key = Buffer.concat([Buffer.of(protocolNumbers[protocol], 0, 0, 0), portField(hostPort)])
  const isEvery = !hostIP || hostIP === '0.0.0.0' || hostIP === '::'
  return {
    map: isEvery ? names.ports : names.addressPorts,
    element: {
      key: isEvery ? key : Buffer.concat([encodeIp(hostIP), key]),
      value: Buffer.concat([encodeIp(address), portField(containerPort)]),
    },
    mapping,
  }
}

/** Two are the same when the same packets go by them, to wherever. */
export const portKey = ({ map, element }: Pick<PortElement, 'map' | 'element'>) =>
  `${map} ${element.key.toString('hex')}`

/** Two elements are the same when the same packets go to the same place. */
export const elementKey = (port: Pick<PortElement, 'map' | 'element'>) =>
  `${portKey(port)} ${port.element.value.toString('hex')}`

/** Whether the same packets go by both, to wherever. */
export const isSamePort = (a: PortElement, b: PortElement) =>
  a.map === b.map && a.element.key.equals(b.element.key)

/** The pod's address that an element leads to. */
export const addressOf = ({ element }: PortElement) => decodeIp(element.value.subarray(0, -4))

const portField = (port: number) => Buffer.of(port >> 8, port & 0xff, 0, 0)
