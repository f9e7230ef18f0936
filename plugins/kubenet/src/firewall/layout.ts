import type { AddressRange, IpFamily } from '../ipam/cidr.ts'
import type { PodNetwork } from '../ipam/network.ts'
import type { FieldType, SetLayout } from './nf-tables.ts'

export const TABLE = 'podwire'

/** What the rules depend on besides the published ports. */
export interface FirewallPlan {
  readonly bridge: string
  /** What the names of the pods' links on the bridge begin with. */
  readonly linkPrefix: string
  readonly networks: readonly PodNetwork[]
  /** Destinations that see a pod's own address; undefined: all of them. */
  readonly direct: readonly AddressRange[] | undefined
  /** Drop what a promiscuous bridge delivers twice: its MAC address. */
  readonly dropDuplicatesFrom: string | undefined
}

const types = {
  ipv4: { code: 7, bytes: 4 },
  ipv6: { code: 8, bytes: 16 },
  protocol: { code: 12, bytes: 4 },
  port: { code: 13, bytes: 4 },
} satisfies Record<string, FieldType>

/** Fields one after the other, each in whole registers, as `nft` writes `ipv4_addr . inet_service`. */
const joined = (...fields: FieldType[]): FieldType => ({
  code: fields.reduce((code, field) => (code << 6) | field.code, 0),
  bytes: fields.reduce((sum, field) => sum + field.bytes, 0),
})

/** Where the addresses are in a family's header. */
export interface Layout {
  readonly nfproto: number
  readonly address: FieldType
  readonly source: number
  readonly destination: number
}

export const layouts: Record<IpFamily, Layout> = {
  4: { nfproto: 2, address: types.ipv4, source: 12, destination: 16 },
  6: { nfproto: 10, address: types.ipv6, source: 8, destination: 24 },
}

export const setNames = (family: IpFamily) => ({
  pods: `pods${family}`,
  direct: `direct${family}`,
  /** protocol . port → address . port */
  ports: `ports${family}`,
  /** address . protocol . port → address . port */
  addressPorts: `address-ports${family}`,
})

export const families: readonly IpFamily[] = [4, 6]

export function setsOf(family: IpFamily): SetLayout[] {
  const { address } = layouts[family]
  const names = setNames(family)
  const target = joined(address, types.port)
  return [
    { name: names.pods, key: address, isInterval: true },
    { name: names.direct, key: address, isInterval: true },
    { name: names.ports, key: joined(types.protocol, types.port), value: target },
    { name: names.addressPorts, key: joined(address, types.protocol, types.port), value: target },
  ]
}
