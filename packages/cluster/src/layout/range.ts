import { parseCIDR } from '@podwire/api'
import { decodeIp, encodeIp } from '@podwire/netlink/transport'

export type IpFamily = 4 | 6

/** A subnet as numbers. */
export interface Subnet {
  readonly family: IpFamily
  /** The first address, its host bits zero. */
  readonly first: bigint
  readonly last: bigint
  readonly prefixLength: number
}

const bitsOf = (family: IpFamily) => (family === 4 ? 32 : 128)

/** The address as a number. The text must be an address. */
const addressToNumber = (address: string) => BigInt(`0x${encodeIp(address).toString('hex')}`)

/** The number as an address, IPv6 as RFC 5952 writes it. */
const numberToAddress = (value: bigint, family: IpFamily) =>
  decodeIp(Buffer.from(value.toString(16).padStart(bitsOf(family) / 4, '0'), 'hex'))

/** One spelling for each address, the kernel's: of IPv6 there are many. The text must be an address, without a zone. */
export const canonicalAddress = (address: string) => decodeIp(encodeIp(address))

/** `10.244.0.0/16`; host bits are cut off. Undefined for what is not a CIDR. */
export function parseSubnet(text: string): Subnet | undefined {
  const cidr = parseCIDR(text)
  return cidr && subnetAt(addressToNumber(cidr.address), cidr.prefixLength, cidr.family)
}

/** The subnet of that length that has the address. */
export function subnetAt(address: bigint, prefixLength: number, family: IpFamily): Subnet {
  const size = sizeOf(prefixLength, family)
  const first = (address / size) * size
  return { family, first, last: first + size - 1n, prefixLength }
}

export const sizeOf = (prefixLength: number, family: IpFamily) => 1n << BigInt(bitsOf(family) - prefixLength)

/** `10.244.0.0/16` again. */
export const formatSubnet = ({ first, family, prefixLength }: Subnet) =>
  `${numberToAddress(first, family)}/${prefixLength}`

/** Its first address, which is no pod's. */
export const firstAddress = ({ first, family }: Subnet) => numberToAddress(first, family)

/** Its last one. */
export const lastAddress = ({ last, family }: Subnet) => numberToAddress(last, family)

export const overlaps = (one: Subnet, other: Subnet) =>
  one.family === other.family && one.first <= other.last && other.first <= one.last

export const isWithin = (inner: Subnet, outer: Subnet) =>
  inner.family === outer.family && outer.first <= inner.first && inner.last <= outer.last
