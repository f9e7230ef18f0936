import {
  type Attribute,
  type Attributes,
  decodeAttributes,
  encodeAttributes,
  nested,
  optional,
  present,
} from '../wire/attributes.ts'
import { readBe16, readU8, slice } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_INET6, decodeIp, type Family, familyName } from '../wire/ip.ts'
import type { Message } from '../wire/message.ts'

/** One direction of a connection. */
export interface ConnectionTuple {
  source: string
  destination: string
  /** 6 TCP, 17 UDP … */
  protocol: number
  sourcePort?: number
  destinationPort?: number
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
}

/** struct nfgenmsg and the attributes after it. */
export function encodeNetfilter(family: number, attributes: readonly Attribute[] = []): Buffer {
  return encodeAttributes(attributes, Buffer.of(family, 0, 0, 0))
}

export function decodeConnection({ body }: Message): Connection {
  const family = readU8(slice(body, 0, 4))
  const attributes = decodeAttributes(body, 4)
  return {
    family: familyName(family),
    original: decodeTuple(nested(attributes, c.CTA_TUPLE_ORIG), family),
    reply: decodeTuple(nested(attributes, c.CTA_TUPLE_REPLY), family),
    key: encodeAttributes(keyOf(attributes)),
  }
}

// What the kernel finds an entry by; the ID guards against deleting a newer one with the same addresses.
function keyOf(attributes: Attributes): Attribute[] {
  const NLA_F_NESTED = 0x8000
  return [
    [c.CTA_TUPLE_ORIG | NLA_F_NESTED, attributes.get(c.CTA_TUPLE_ORIG)],
    [c.CTA_ZONE, attributes.get(c.CTA_ZONE)],
    [c.CTA_ID, attributes.get(c.CTA_ID)],
  ]
}

function decodeTuple(tuple: Attributes, family: number): ConnectionTuple {
  const ip = nested(tuple, c.CTA_TUPLE_IP)
  const protocol = nested(tuple, c.CTA_TUPLE_PROTO)
  const isV6 = family === AF_INET6
  return present({
    source: optional(ip, isV6 ? c.CTA_IP_V6_SRC : c.CTA_IP_V4_SRC, decodeIp) ?? '',
    destination: optional(ip, isV6 ? c.CTA_IP_V6_DST : c.CTA_IP_V4_DST, decodeIp) ?? '',
    protocol: optional(protocol, c.CTA_PROTO_NUM, readU8) ?? 0,
    sourcePort: optional(protocol, c.CTA_PROTO_SRC_PORT, readBe16),
    destinationPort: optional(protocol, c.CTA_PROTO_DST_PORT, readBe16),
  })
}
