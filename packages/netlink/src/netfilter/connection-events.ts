import type { Netlink } from '../socket/netlink.ts'
import { closeSocket, joinGroups } from '../socket/socket.ts'
import { subscribe } from '../socket/subscription.ts'
import type { Message } from '../wire/message.ts'
import { type Connection, decodeConnection } from './connection.ts'
import { subsystem } from './nfnetlink.ts'

/**
 * `began`: its first packet has passed; `ended`: the kernel has forgotten it, `connection.traffic` is all that it was;
 * `lost`: some of both were not heard, because the reader was too slow.
 */
export type ConnectionEvent =
  | { readonly event: 'began' | 'ended'; readonly connection: Connection }
  | { readonly event: 'lost'; readonly connection?: never }

export interface ConnectionWatchOptions {
  /** Keeps the process alive; default: true. */
  readonly ref?: boolean
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal
}

// linux/netfilter/nfnetlink_compat.h
const NFNLGRP_CONNTRACK_NEW = 1
const NFNLGRP_CONNTRACK_DESTROY = 3
// linux/netfilter/nfnetlink_conntrack.h
const IPCTNL_MSG_CT_NEW = 0
const IPCTNL_MSG_CT_DELETE = 2

const LOST: ConnectionEvent = { event: 'lost' }

/**
 * Tells which connections begin and end, from this call on, until the loop is left or the signal aborts. 4096 may wait to be
 * read, and 4 MiB of messages before that; more are lost, and it says so. A connection ends when the kernel forgets it, which of TCP
 * is two minutes after it was closed. Where `net/netfilter/nf_conntrack_events` is 2 the end of those that began before anybody
 * listened is not told. Source: ctnetlink. Errors, at once: `EPERM` without CAP_NET_ADMIN.
 * @param netlink a socket of `openNetlink({ protocol: NETLINK_NETFILTER })`
 */
export function watchConnections(
  netlink: Netlink,
  { ref = true, signal }: ConnectionWatchOptions = {},
): AsyncIterableIterator<ConnectionEvent> {
  const fd = netlink.openSocket()
  try {
    joinGroups(fd, [NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_DESTROY])
  } catch (error) {
    closeSocket(fd)
    throw error
  }
  const operation = 'watch connections'
  return subscribe(fd, { operation, read: eventsOf, signal, ref, capacity: 4096, lost: LOST })
}

function eventsOf(message: Message): ConnectionEvent[] {
  const event = events.get(message.type)
  return event ? [{ event, connection: decodeConnection(message) }] : []
}

const events = new Map([
  [(subsystem.conntrack << 8) | IPCTNL_MSG_CT_NEW, 'began'],
  [(subsystem.conntrack << 8) | IPCTNL_MSG_CT_DELETE, 'ended'],
] as const)
