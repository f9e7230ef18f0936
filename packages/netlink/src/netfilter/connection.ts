import {
  type Attribute,
  type Attributes,
  decodeAttributes,
  encodeAttributes,
  nested,
  optional,
  present,
} from '../wire/attributes.ts'
import { readBe16, readBe64, readU8, slice } from '../wire/bytes.ts'
import { AF_INET6, decodeIp, encodeIp, type Family, familyName } from '../wire/ip.ts'
import type { Message } from '../wire/message.ts'

// linux/netfilter/nfnetlink_conntrack.h
export const CTA_TUPLE_ORIG = 1
export const CTA_TUPLE_REPLY = 2
const CTA_COUNTERS_ORIG = 9
const CTA_COUNTERS_REPLY = 10
const CTA_ID = 12
const CTA_ZONE = 18
const CTA_TUPLE_IP = 1
const CTA_TUPLE_PROTO = 2
const CTA_IP_V4_SRC = 1
const CTA_IP_V4_DST = 2
const CTA_IP_V6_SRC = 3
const CTA_IP_V6_DST = 4
const CTA_PROTO_NUM = 1
const CTA_PROTO_SRC_PORT = 2
const CTA_PROTO_DST_PORT = 3
const CTA_COUNTERS_PACKETS = 1
const CTA_COUNTERS_BYTES = 2

/** One direction of a connection. */
export interface ConnectionTuple {
  source: string
  destination: string
  /** 6 TCP, 17 UDP … */
  protocol: number
  sourcePort?: number
  destinationPort?: number
}

/** What went one way, with all headers from the network's on. */
export interface ConnectionTraffic {
  packets: number
  bytes: number
}

/** A connection that the kernel keeps track of. */
export interface Connection {
  family: Family
  /** As its first packet went. */
  original: ConnectionTuple
  /** As answers come: the other way round, and after address translation. */
  reply: ConnectionTuple
  /** The kernel's own name of it. */
  key: Buffer
  /** What was sent so far, where the kernel counts: of connections that began while `net/netfilter/nf_conntrack_acct` was 1. */
  traffic?: { original: ConnectionTraffic; reply: ConnectionTraffic }
}

export function decodeConnection({ body }: Message): Connection {
  const family = readU8(slice(body, 0, 4))
  const attributes = decodeAttributes(body, 4)
  const original = optional(attributes, CTA_COUNTERS_ORIG, decodeTraffic)
  const reply = optional(attributes, CTA_COUNTERS_REPLY, decodeTraffic)
  return {
    family: familyName(family),
    original: decodeTuple(nested(attributes, CTA_TUPLE_ORIG), family),
    reply: decodeTuple(nested(attributes, CTA_TUPLE_REPLY), family),
    key: encodeAttributes(keyOf(attributes)),
    ...(original && reply ? { traffic: { original, reply } } : {}),
  }
}

function decodeTraffic(bytes: Buffer): ConnectionTraffic {
  const counters = decodeAttributes(bytes)
  return {
    packets: optional(counters, CTA_COUNTERS_PACKETS, readBe64) ?? 0,
    bytes: optional(counters, CTA_COUNTERS_BYTES, readBe64) ?? 0,
  }
}

// What the kernel finds an entry by; the ID guards against deleting a newer one with the same addresses.
function keyOf(attributes: Attributes): Attribute[] {
  const NLA_F_NESTED = 0x8000
  return [
    [CTA_TUPLE_ORIG | NLA_F_NESTED, attributes.get(CTA_TUPLE_ORIG)],
    [CTA_ZONE, attributes.get(CTA_ZONE)],
    [CTA_ID, attributes.get(CTA_ID)],
  ]
}

/** Of a tuple, where packets of IPv4 come from. */
export const encodeSource = (address: string): Attribute[] => [
  [CTA_TUPLE_IP, [[CTA_IP_V4_SRC, encodeIp(address)]]],
]

function decodeTuple(tuple: Attributes, family: number): ConnectionTuple {
  const ip = nested(tuple, CTA_TUPLE_IP)
  const protocol = nested(tuple, CTA_TUPLE_PROTO)
  const isV6 = family === AF_INET6
  return present({
    source: optional(ip, isV6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, decodeIp) ?? '',
    destination: optional(ip, isV6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, decodeIp) ?? '',
    protocol: optional(protocol, CTA_PROTO_NUM, readU8) ?? 0,
    sourcePort: optional(protocol, CTA_PROTO_SRC_PORT, readBe16),
    destinationPort: optional(protocol, CTA_PROTO_DST_PORT, readBe16),
  })
}
