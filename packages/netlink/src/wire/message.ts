import { errors } from '../errors.ts'
import { type Attributes, decodeAttributes, optional } from './attributes.ts'
import { align, readI32, readText, readU16, readU32, slice } from './bytes.ts'
import {
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_HDRLEN,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
} from './constants.ts'

/** One netlink message as received: the header's fields and what follows it. */
export interface Message {
  type: number
  flags: number
  seq: number
  body: Buffer
}

export function encodeMessage(type: number, flags: number, seq: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align(NLMSG_HDRLEN + body.length))
  bytes.writeUInt32LE(NLMSG_HDRLEN + body.length, 0)
  bytes.writeUInt16LE(type, 4)
  bytes.writeUInt16LE(flags, 6)
  bytes.writeUInt32LE(seq, 8)
  bytes.set(body, NLMSG_HDRLEN)
  return bytes
}

/** Splits a datagram into its messages. Errors: `ERR_NETLINK_MALFORMED`. */
export function decodeMessages(datagram: Buffer): Message[] {
  const messages: Message[] = []
  for (let offset = 0; offset < datagram.length; ) {
    const length = readU32(datagram, offset)
    if (length < NLMSG_HDRLEN || offset + length > datagram.length)
      throw errors.ERR_NETLINK_MALFORMED({
        what: `message of ${length} bytes at offset ${offset} of ${datagram.length}`,
      })
    messages.push({
      type: readU16(datagram, offset + 4),
      flags: readU16(datagram, offset + 6),
      seq: readU32(datagram, offset + 8),
      body: datagram.subarray(offset + NLMSG_HDRLEN, offset + length),
    })
    offset += align(length)
  }
  return messages
}

/** What an acknowledgement says; `errno` 0 is success. */
export interface Acknowledgement {
  errno: number
  /** The kernel's own words (extended ack), where it has any. */
  text?: string
  /** Where in the request the offending attribute begins, in bytes from the header. */
  offset?: number
}

/** Decodes NLMSG_ERROR, and NLMSG_DONE which carries the same code in fewer bytes. */
export function decodeAcknowledgement(message: Message, isDone: boolean): Acknowledgement {
  if (isDone && message.body.length < 4) return { errno: 0 }
  const errno = -readI32(message.body)
  const attributes = message.flags & NLM_F_ACK_TLVS ? acknowledgementAttributes(message, isDone) : undefined
  const words = attributes && optional(attributes, NLMSGERR_ATTR_MSG, readText)
  const offset = attributes && optional(attributes, NLMSGERR_ATTR_OFFS, readU32)
  return {
    errno: errno === 0 ? 0 : errno,
    ...(words === undefined ? {} : { text: words }),
    ...(offset === undefined ? {} : { offset }),
  }
}

function acknowledgementAttributes({ body, flags }: Message, isDone: boolean): Attributes {
  if (isDone) return decodeAttributes(body, 4)
  // The request's header follows the code, and the whole request with it unless capped.
  const echoed = flags & NLM_F_CAPPED ? NLMSG_HDRLEN : align(readU32(slice(body, 4, NLMSG_HDRLEN)))
  return decodeAttributes(body, 4 + echoed)
}
