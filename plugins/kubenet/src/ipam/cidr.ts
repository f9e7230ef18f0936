import { isIPv4, isIPv6 } from 'node:net'
import { parseCIDR } from '@podwire/api'
import { decodeIp, encodeIp } from '@podwire/netlink/transport'

export type IpFamily = 4 | 6

/** A subnet as numbers: what arithmetic on addresses needs. */
export interface Cidr {
  readonly family: IpFamily
  /** The first address, its host bits zero. */
  readonly first: bigint
  readonly last: bigint
  readonly prefixLength: number
}

/** A range of addresses of one family, both ends included. */
export interface AddressRange {
  readonly family: IpFamily
  readonly first: bigint
  readonly last: bigint
}

const bitsOf = (family: IpFamily) => (family === 4 ? 32 : 128)

/** 4 or 6; undefined for what is not an address, and for one with a zone. */
export function familyOf(address: string): IpFamily | undefined {
  if (isIPv4(address)) return 4
  // Asked of what looks like one alone: Node takes milliseconds to compile its test of an IPv6 address.
  return address.includes(':') && !address.includes('%') && isIPv6(address) ? 6 : undefined
}

/** The address as a number. The text must be an address: see {@link familyOf}. */
export function addressToNumber(address: string): bigint {
  return BigInt(`0x${encodeIp(address).toString('hex')}`)
}

/** The number as an address, IPv6 as RFC 5952 writes it. */
export function numberToAddress(value: bigint, family: IpFamily): string {
  return decodeIp(Buffer.from(value.toString(16).padStart(bitsOf(family) / 4, '0'), 'hex'))
}

/** `10.88.0.0/16`; host bits are cut off. Undefined for what is not a CIDR. */
export function parseCidr(text: string): Cidr | undefined {
  const cidr = parseCIDR(text)
  if (!cidr) return undefined
  const { family, address, prefixLength } = cidr
  const size = 1n << BigInt(bitsOf(family) - prefixLength)
  const first = (addressToNumber(address) / size) * size
  return { family, first, last: first + size - 1n, prefixLength }
}

/** `10.88.0.1-10.88.0.9`, a CIDR or one address. Undefined for what is none of these, or runs backwards. */
export function parseRange(text: string): AddressRange | undefined {
  const cidr = parseCidr(text)
  if (cidr) return cidr
  const [from = '', to = from, ...rest] = text.split('-')
  const family = familyOf(from)
  if (!family || familyOf(to) !== family || rest.length > 0) return undefined
  const range = { family, first: addressToNumber(from), last: addressToNumber(to) }
  return range.first <= range.last ? range : undefined
}

/** `10.88.0.0/16` again. */
export function formatCidr({ first, family, prefixLength }: Cidr): string {
  return `${numberToAddress(first, family)}/${prefixLength}`
}

export function contains(range: AddressRange, address: string): boolean {
  if (familyOf(address) !== range.family) return false
  const value = addressToNumber(address)
  return range.first <= value && value <= range.last
}

/** Whether the two have an address in common. */
export function overlaps(one: AddressRange, other: AddressRange): boolean {
  return one.family === other.family && one.first <= other.last && other.first <= one.last
}

/** The same addresses in as few ranges as possible, sorted, of one family. */
export function mergeRanges(ranges: readonly AddressRange[], family: IpFamily): AddressRange[] {
  const sorted = ranges
    .filter((range) => range.family === family)
    .sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
  const merged: AddressRange[] = []
  for (const range of sorted) {
    const previous = merged.at(-1)
    if (!previous || range.first > previous.last + 1n) merged.push(range)
    else if (range.last > previous.last)
      merged[merged.length - 1] = { family, first: previous.first, last: range.last }
  }
  return merged
}
