import { networkInterfaces } from 'node:os'

/** Why an address of an answer is not one of the internet's. */
export type AddressKind =
  | 'loopback'
  | 'private'
  | 'link-local'
  | 'metadata'
  | 'multicast'
  | 'reserved'
  /** One that the host itself has. */
  | 'host'

// The special-purpose registries of IANA; and where clouds keep what a machine may know of itself.
const RANGES_V4: readonly (readonly [string, AddressKind])[] = [
  ['169.254.169.254/32', 'metadata'],
  ['168.63.129.16/32', 'metadata'],
  ['100.100.100.200/32', 'metadata'],
  ['192.0.0.192/32', 'metadata'],
  ['0.0.0.0/8', 'reserved'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'private'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved'],
  ['192.0.2.0/24', 'reserved'],
  ['192.88.99.0/24', 'reserved'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'private'],
  ['198.51.100.0/24', 'reserved'],
  ['203.0.113.0/24', 'reserved'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
]

const MASKS_V4 = RANGES_V4.map(([cidr, kind]) => {
  const [address = '', length = ''] = cidr.split('/')
  const mask = (-1 << (32 - Number(length))) >>> 0
  return { first: Buffer.from(address.split('.').map(Number)).readUInt32BE(), mask, kind }
})

/** @param bytes 4 or 16 of them; undefined for an address that anyone may have, anywhere */
export function kindOfAddress(bytes: Buffer): AddressKind | undefined {
  return bytes.length === 4 ? kindOfV4(bytes.readUInt32BE()) : kindOfV6(bytes)
}

function kindOfV4(value: number): AddressKind | undefined {
  return MASKS_V4.find(({ first, mask }) => (value & mask) >>> 0 === first)?.kind
}

function kindOfV6(bytes: Buffer): AddressKind | undefined {
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2))
  const [first = 0, second = 0] = groups
  const startsWith = (...prefix: number[]) => prefix.every((group, at) => groups[at] === group)
  if (startsWith(0, 0, 0, 0, 0, 0, 0, 1)) return 'loopback'
  // IPv4 in other clothes: it is what is inside, and never reached as IPv6 where it has no way of its own.
  if (startsWith(0, 0, 0, 0, 0, 0xffff)) return kindOfV4(bytes.readUInt32BE(12)) ?? 'reserved'
  if (startsWith(0x64, 0xff9b, 0, 0, 0, 0)) return kindOfV4(bytes.readUInt32BE(12))
  if (first === 0x2002) return kindOfV4(bytes.readUInt32BE(2))
  if (startsWith(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)) return 'metadata'
  if (startsWith(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)) return 'metadata'
  if ((first & 0xfe00) === 0xfc00) return 'private'
  // With it, what was site-local once.
  if ((first & 0xff80) === 0xfe80) return 'link-local'
  if ((first & 0xff00) === 0xff00) return 'multicast'
  // Nothing else of what is given out.
  if ((first & 0xe000) !== 0x2000) return 'reserved'
  if (first === 0x2001 && second < 0x200) return 'reserved'
  if (first === 0x2001 && second === 0xdb8) return 'reserved'
  return first === 0x3fff && second < 0x1000 ? 'reserved' : undefined
}

/** How old what is known of the host's own addresses may be, in milliseconds. */
const FRESH = 2_000

/** Whether the host has an address, as of a moment ago. */
export function createHostAddresses(): (address: string) => boolean {
  let known = new Set<string>()
  let readAt = Number.NEGATIVE_INFINITY
  return (address) => {
    if (performance.now() - readAt > FRESH) {
      readAt = performance.now()
      const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
      known = new Set(interfaces.map(({ address }) => address))
    }
    return known.has(address)
  }
}
