import type { PortMapping } from '@podwire/api'
import { decodeIp, encodeIp } from '@podwire/netlink/transport'
import { hostPortWithoutAddress } from '../errors.ts'
import type { Element } from '../firewall/nf-tables.ts'
import { setNames } from '../firewall/ruleset.ts'
import { familyOf } from '../ipam/cidr.ts'
import type { PodRecord } from '../records.ts'

/** An element of one of the firewall's maps. */
export interface PortElement {
  readonly map: string
  readonly element: Element
  readonly mapping: PortMapping
}

export const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const

const isEveryAddress = (hostIP: string | undefined) =>
  hostIP === undefined || hostIP === '0.0.0.0' || hostIP === '::'

/**
 * The map elements that publish a pod's ports, for each of its families that the mapping's hostIP admits.
 * @throws PodwireError `HOST_PORT_FAMILY` for a mapping that no address of the pod fits
 */
export function portElements({ addresses, ports }: Pick<PodRecord, 'addresses' | 'ports'>): PortElement[] {
  return ports.flatMap((mapping) => {
    const { hostIP, hostPort, containerPort, protocol } = mapping
    const hostFamily = hostIP ? familyOf(hostIP) : undefined
    const fitting = addresses.filter(({ address }) => !hostFamily || familyOf(address) === hostFamily)
    if (fitting.length === 0) throw hostPortWithoutAddress(mapping)
    return fitting.map(({ address }): PortElement => {
      const names = setNames(address.includes(':') ? 6 : 4)
      const key = Buffer.concat([Buffer.of(protocolNumbers[protocol], 0, 0, 0), portField(hostPort)])
      const isEvery = isEveryAddress(hostIP)
      return {
        map: isEvery ? names.ports : names.addressPorts,
        element: {
          key: isEvery ? key : Buffer.concat([encodeIp(hostIP!), key]),
          value: Buffer.concat([encodeIp(address), portField(containerPort)]),
        },
        mapping,
      }
    })
  })
}

/** Two elements are the same when the same packets go to the same place. */
export const elementKey = ({ map, element }: Pick<PortElement, 'map' | 'element'>) =>
  `${map} ${element.key.toString('hex')} ${element.value?.toString('hex')}`

/** The pod's address that an element leads to. */
export const addressOf = ({ element }: PortElement) =>
  decodeIp((element.value ?? Buffer.alloc(8)).subarray(0, -4))

const portField = (port: number) => Buffer.of(port >> 8, port & 0xff, 0, 0)
