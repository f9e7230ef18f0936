import { type Attribute, decodeAttributes, encodeAttributes, optional, present } from '../wire/attributes.ts'
import { readI32, readText, readU8, readU32, slice } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { decodeIp, type Family, familyName } from '../wire/ip.ts'
import type { Message } from '../wire/message.ts'
import { type RouteScope, scopeName } from './route.ts'

/** An address of a link. */
export interface Address {
  family: Family
  /** Index of the link. */
  dev: number
  /** With prefix length: `10.0.0.1/24`. */
  address: string
  /** The other end of a point-to-point link. */
  peer?: string
  broadcast?: string
  label?: string
  scope: RouteScope
  /** Duplicate address detection is not done. */
  noDad: boolean
  /** Not usable yet: duplicate address detection is under way, or has failed. */
  tentative: boolean
  dadFailed: boolean
  /** No route to the prefix was made with the address. */
  noPrefixRoute: boolean
  /** Who gave it; Linux tells since 5.18. */
  protocol?: number
  /** Seconds left; absent for ever. */
  validLifetime?: number
  preferredLifetime?: number
}

const FOREVER = 0xffffffff

/** struct ifaddrmsg and the attributes after it. */
export function encodeAddress(
  header: { family?: number; prefixLength?: number; flags?: number; scope?: number; index?: number },
  attributes: readonly Attribute[] = [],
): Buffer {
  const { family = 0, prefixLength = 0, flags = 0, scope = 0, index = 0 } = header
  const bytes = Buffer.from([family, prefixLength, flags & 0xff, scope, 0, 0, 0, 0])
  bytes.writeInt32LE(index, 4)
  return encodeAttributes(attributes, bytes)
}

export function decodeAddress({ body }: Message): Address {
  slice(body, 0, 8)
  const attributes = decodeAttributes(body, 8)
  const read = <T>(type: number, reader: (bytes: Buffer) => T) => optional(attributes, type, reader)
  const flags = read(c.IFA_FLAGS, readU32) ?? readU8(body, 2)
  const remote = read(c.IFA_ADDRESS, decodeIp)
  const local = read(c.IFA_LOCAL, decodeIp) ?? remote ?? ''
  const lifetime = (offset: number) => {
    const seconds = read(c.IFA_CACHEINFO, (bytes) => readU32(bytes, offset))
    return seconds === FOREVER ? undefined : seconds
  }
  return present({
    family: familyName(readU8(body)),
    dev: readI32(body, 4),
    address: `${local}/${readU8(body, 1)}`,
    peer: remote === local ? undefined : remote,
    broadcast: read(c.IFA_BROADCAST, decodeIp),
    label: read(c.IFA_LABEL, readText),
    scope: scopeName(readU8(body, 3)),
    noDad: (flags & c.IFA_F_NODAD) !== 0,
    tentative: (flags & c.IFA_F_TENTATIVE) !== 0,
    dadFailed: (flags & c.IFA_F_DADFAILED) !== 0,
    noPrefixRoute: (flags & c.IFA_F_NOPREFIXROUTE) !== 0,
    protocol: read(c.IFA_PROTO, readU8) || undefined,
    validLifetime: lifetime(4),
    preferredLifetime: lifetime(0),
  })
}
