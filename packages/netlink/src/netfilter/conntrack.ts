import { errors, type NetlinkError } from '../errors.ts'
import type { Netlink } from '../socket/netlink.ts'
import type { Request } from '../socket/request.ts'
import { NLM_F_ACK, NLM_F_DUMP } from '../wire/constants.ts'
import { AF_UNSPEC, type Family, familyValue } from '../wire/ip.ts'
import { type Connection, decodeConnection } from './connection.ts'
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
}

/** The connections the kernel keeps track of, all or those that agree with what is given. */
export function list(filter: ConnectionFilter = {}): Request<Connection[]> {
  return netfilterRequest({
    operation: 'list connections',
    subsystem: 'conntrack',
    message: IPCTNL_MSG_CT_GET,
    flags: NLM_F_DUMP,
    body: () => encodeNetfilter(filter.family ? familyValue(filter.family) : AF_UNSPEC),
    parse: (messages) => messages.map(decodeConnection).filter((connection) => agrees(connection, filter)),
  })
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

function agrees({ original, reply }: Connection, { protocol, port, address }: ConnectionFilter): boolean {
  const ends = [original.source, original.destination, reply.source, reply.destination]
  return (
    (protocol === undefined || original.protocol === protocol) &&
    (port === undefined || original.destinationPort === port) &&
    (address === undefined || ends.includes(address))
  )
}
