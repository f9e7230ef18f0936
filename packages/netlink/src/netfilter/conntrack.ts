import { errors, type NetlinkError } from '../errors.ts'
import type { Netlink } from '../socket/netlink.ts'
import type { Request } from '../socket/request.ts'
import type { Attribute } from '../wire/attributes.ts'
import { u32 } from '../wire/bytes.ts'
import { NLM_F_ACK, NLM_F_DUMP } from '../wire/constants.ts'
import { AF_INET6, AF_UNSPEC, type Family, familyOf, familyValue } from '../wire/ip.ts'
import {
  type Connection,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_REPLY,
  decodeConnection,
  encodeSource,
} from './connection.ts'
import { encodeNetfilter, netfilterRequest } from './nfnetlink.ts'

// linux/netfilter/nfnetlink_conntrack.h
const IPCTNL_MSG_CT_GET = 1
const IPCTNL_MSG_CT_DELETE = 2

/** Connections that agree with all that is given. */
export interface ConnectionFilter {
  family?: Family
  /** 6 TCP, 17 UDP … */
  protocol?: number
  /** The port that the first packet was sent to. */
  port?: number
  /** An address at either end, before or after translation. */
  address?: string
  /** Where the first packet came from. Linux looks for this, and what follows, by itself: of IPv4, from 5.8 on. */
  source?: string
  /** Where answers come from. */
  replySource?: string
}

/** The connections the kernel keeps track of, all or those that agree with what is given. */
export function list(filter: ConnectionFilter = {}): Request<Connection[]> {
  return netfilterRequest({
    operation: 'list connections',
    subsystem: 'conntrack',
    message: IPCTNL_MSG_CT_GET,
    flags: NLM_F_DUMP,
    body: () => encodeNetfilter(familyIn(filter), encodeFilter(filter)),
    parse: (messages) => messages.map(decodeConnection).filter((connection) => agrees(connection, filter)),
  })
}

function familyIn({ family, source, replySource }: ConnectionFilter): number {
  const address = source ?? replySource
  if (family) return familyValue(family)
  return address === undefined ? AF_UNSPEC : familyOf(address)
}

const CTA_FILTER = 25
const CTA_FILTER_ORIG_FLAGS = 1
const CTA_FILTER_REPLY_FLAGS = 2
const CTA_FILTER_FLAG_IP_SRC = 1

function encodeFilter({ source, replySource }: ConnectionFilter): Attribute[] {
  const address = source ?? replySource
  // Of IPv6 the kernel compares the wrong way round: it has those that differ.
  if (address === undefined || familyOf(address) === AF_INET6) return []
  const flagsOf = (address: string | undefined) => u32(address === undefined ? 0 : CTA_FILTER_FLAG_IP_SRC)
  return [
    [CTA_TUPLE_ORIG, source === undefined ? undefined : encodeSource(source)],
    [CTA_TUPLE_REPLY, replySource === undefined ? undefined : encodeSource(replySource)],
    [
      CTA_FILTER,
      [
        [CTA_FILTER_ORIG_FLAGS, flagsOf(source)],
        [CTA_FILTER_REPLY_FLAGS, flagsOf(replySource)],
      ],
    ],
  ]
}

/** A connection as it is now. Errors: `ENOENT` when it is forgotten. */
export function get({ family, key, original }: Connection): Request<Connection> {
  return netfilterRequest({
    operation: `get connection from ${original.source} to ${original.destination}`,
    subsystem: 'conntrack',
    message: IPCTNL_MSG_CT_GET,
    flags: NLM_F_ACK,
    body: () => Buffer.concat([encodeNetfilter(familyValue(family)), key]),
    parse([message]) {
      if (!message) throw errors.ERR_NETLINK_MALFORMED({ what: 'an answer without a connection' })
      return decodeConnection(message)
    },
  })
}

/** Forgets a connection. Errors: `ENOENT` when it is forgotten already. */
export function del({ family, key, original }: Connection): Request<void> {
  return netfilterRequest({
    operation: `delete connection from ${original.source} to ${original.destination}`,
    subsystem: 'conntrack',
    message: IPCTNL_MSG_CT_DELETE,
    flags: NLM_F_ACK,
    body: () => Buffer.concat([encodeNetfilter(familyValue(family)), key]),
    parse: () => {},
  })
}

/**
 * Forgets the connections that agree with the filter, so that their next packets are translated anew: an UDP flow
 * would else go on to a port mapping that is gone. Returns how many. Those that end meanwhile don't matter.
 */
export async function flush(netlink: Netlink, filter: ConnectionFilter): Promise<number> {
  const found = await netlink.run(list(filter))
  const outcomes = await Promise.allSettled(found.map((connection) => netlink.run(del(connection))))
  for (const outcome of outcomes) {
    // Whatever isn't ENOENT is worth telling; a rejection of netlink's is always of its own kind.
    if (outcome.status === 'rejected' && (outcome.reason as NetlinkError).code !== 'ENOENT')
      throw outcome.reason
  }
  return outcomes.filter(({ status }) => status === 'fulfilled').length
}

function agrees({ original, reply }: Connection, filter: ConnectionFilter): boolean {
  const { protocol, port, address, source, replySource } = filter
  const ends = [original.source, original.destination, reply.source, reply.destination]
  return (
    (protocol === undefined || original.protocol === protocol) &&
    (port === undefined || original.destinationPort === port) &&
    (address === undefined || ends.includes(address)) &&
    (source === undefined || original.source === source) &&
    (replySource === undefined || reply.source === replySource)
  )
}
