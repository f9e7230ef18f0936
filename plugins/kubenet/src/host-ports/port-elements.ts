import type { PortMapping } from '@podwire/api'
import { decodeIp, encodeIp } from '@podwire/netlink/transport'
import { hostPortWithoutAddress } from '../errors.ts'
import { type MapElement, setNames } from '../firewall/layout.ts'
import { familyOf } from '../ipam/cidr.ts'
import type { PodRecord } from '../records.ts'

/** An element of one of the firewall's maps. */
export interface PortElement {
  readonly map: string
  readonly element: MapElement
  readonly mapping: PortMapping
}

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const

/** The map elements that publish a pod's ports, for each of its families that the mapping's hostIP admits. */
export function portElements({ addresses, ports }: Pick<PodRecord, 'addresses' | 'ports'>): PortElement[] {
  return ports.flatMap((mapping) =>
    addresses
      .filter(({ address }) => admits(mapping, address))
      .map(({ address }) => elementOf(mapping, address)),
  )
}

/** @throws PodwireError `HOST_PORT_FAMILY` for a mapping that no address of the pod fits */
export function checkFamilies({ addresses, ports }: Pick<PodRecord, 'addresses' | 'ports'>): void {
  for (const mapping of ports)
    if (!addresses.some(({ address }) => admits(mapping, address))) throw hostPortWithoutAddress(mapping)
}

const admits = ({ hostIP }: PortMapping, address: string) => !hostIP || familyOf(hostIP) === familyOf(address)

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

/** Two elements are the same when the same packets go to the same place. */
export const elementKey = ({ map, element }: Pick<PortElement, 'map' | 'element'>) =>
  `${map} ${element.key.toString('hex')} ${element.value.toString('hex')}`

/** The pod's address that an element leads to. */
export const addressOf = ({ element }: PortElement) => decodeIp(element.value.subarray(0, -4))

const portField = (port: number) => Buffer.of(port >> 8, port & 0xff, 0, 0)
