import {
  type Attribute,
  decodeAttributes,
  encodeAttributes,
  nested,
  optional,
  present,
} from '../wire/attributes.ts'
import { readI32, readU8, readU32, slice } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_INET, decodeIp, type Family, familyName } from '../wire/ip.ts'
import type { Message } from '../wire/message.ts'

/** How far an address or a destination is valid. A number is one that has no name. */
export type RouteScope = 'global' | 'site' | 'link' | 'host' | 'nowhere' | number
export type RouteType =
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'anycast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  | 'throw'

/** A route. What doesn't apply is absent. */
export interface Route {
  family: Family
  type: RouteType | number
  /** With prefix length, or `default`. */
  destination: string
  table: number
  /** Who made it: 2 kernel, 3 boot, 4 static … */
  protocol: number
  scope: RouteScope
  gateway?: string
  /** Index of the link. */
  dev?: number
  metric?: number
  /** In bytes. */
  mtu?: number
  /** The source address that packets get. */
  source?: string
  /** The gateway is on the link though no address says so. */
  onlink: boolean
}

const scopes: Record<string, number> = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 }
const types: readonly RouteType[] = [
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
]
const scopeNames = new Map(Object.entries(scopes).map(([name, value]) => [value, name as RouteScope])) // the keys above

export const scopeName = (value: number): RouteScope => scopeNames.get(value) ?? value
export const scopeValue = (scope: RouteScope) => (typeof scope === 'number' ? scope : scopes[scope]!)
export const routeTypeValue = (type: RouteType) => types.indexOf(type) + 1

/** struct rtmsg, which struct fib_rule_hdr agrees with in size. */
export interface RouteHeader {
  family: number
  destinationLength?: number
  sourceLength?: number
  table?: number
  protocol?: number
  scope?: number
  type?: number
  flags?: number
}

export function encodeRoute(header: RouteHeader, attributes: readonly Attribute[] = []): Buffer {
  const {
    family,
    destinationLength = 0,
    sourceLength = 0,
    table = 0,
    protocol = 0,
    scope = 0,
    type = 0,
    flags = 0,
  } = header
  const bytes = Buffer.alloc(12)
  bytes.set([family, destinationLength, sourceLength, 0, table, protocol, scope, type])
  bytes.writeUInt32LE(flags >>> 0, 8)
  return encodeAttributes(attributes, bytes)
}

export function decodeRoute({ body }: Message): Route {
  slice(body, 0, 12)
  const attributes = decodeAttributes(body, 12)
  const read = <T>(type: number, reader: (bytes: Buffer) => T) => optional(attributes, type, reader)
  const type = readU8(body, 7)
  return present({
    family: familyName(readU8(body)),
    type: types[type - 1] ?? type,
    destination: destinationOf(read(c.RTA_DST, decodeIp), readU8(body, 1), readU8(body)),
    table: read(c.RTA_TABLE, readU32) ?? readU8(body, 4),
    protocol: readU8(body, 5),
    scope: scopeName(readU8(body, 6)),
    gateway: read(c.RTA_GATEWAY, decodeIp),
    dev: read(c.RTA_OIF, readI32),
    metric: read(c.RTA_PRIORITY, readU32),
    mtu: optional(nested(attributes, c.RTA_METRICS), c.RTAX_MTU, readU32),
    source: read(c.RTA_PREFSRC, decodeIp),
    onlink: (readU32(body, 8) & c.RTNH_F_ONLINK) !== 0,
  })
}

function destinationOf(address: string | undefined, length: number, family: number): string {
  if (length === 0) return 'default'
  return `${address ?? (family === AF_INET ? '0.0.0.0' : '::')}/${length}`
}
