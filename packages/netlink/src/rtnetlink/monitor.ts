import type { Netlink } from '../socket/netlink.ts'
import { closeSocket, joinGroups } from '../socket/socket.ts'
import { subscribe } from '../socket/subscription.ts'
import * as c from '../wire/constants.ts'
import { AF_BRIDGE } from '../wire/ip.ts'
import type { Message } from '../wire/message.ts'
import { type Address, decodeAddress } from './address.ts'
import { decodeLink, type Link } from './link.ts'
import { decodeNeighbour, type Neighbour } from './neighbour.ts'
import { decodeRoute, type Route } from './route.ts'

/** Something in the network changed; `new` also tells of a change to what was there before. */
export type NetworkChange =
  | { change: 'new' | 'deleted'; what: 'link'; link: Link }
  | { change: 'new' | 'deleted'; what: 'address'; address: Address }
  | { change: 'new' | 'deleted'; what: 'route'; route: Route }
  | { change: 'new' | 'deleted'; what: 'neighbour'; neighbour: Neighbour }

export type Watchable = NetworkChange['what']

export interface WatchOptions {
  /** Ends the iteration, without an error. */
  signal?: AbortSignal
}

/** The kernel's groups that tell of each. */
export const groups: Record<Watchable, number[]> = {
  link: [c.RTNLGRP_LINK],
  address: [c.RTNLGRP_IPV4_IFADDR, c.RTNLGRP_IPV6_IFADDR],
  route: [c.RTNLGRP_IPV4_ROUTE, c.RTNLGRP_IPV6_ROUTE],
  neighbour: [c.RTNLGRP_NEIGH],
}

/**
 * Tells what changes in a namespace from this call on, until the loop is left or `signal` aborts; the process is kept
 * alive meanwhile. A reader that falls 4 MiB of messages behind gets `ENOBUFS`: list again, and watch anew.
 */
export function watchNetwork(
  netlink: Netlink,
  what: readonly Watchable[],
  { signal }: WatchOptions = {},
): AsyncIterableIterator<NetworkChange> {
  const fd = netlink.openSocket()
  try {
    joinGroups(
      fd,
      what.flatMap((item) => groups[item]),
    )
  } catch (error) {
    closeSocket(fd)
    throw error
  }
  return subscribe(fd, { operation: 'watch network', read: changesOf, signal })
}

export function changesOf(message: Message): NetworkChange[] {
  switch (message.type) {
    case c.RTM_NEWLINK:
    case c.RTM_DELLINK: {
      // A bridge reports its ports under its own family too: a port that leaves looks like a link that is deleted.
      if (message.body[0] === AF_BRIDGE) return []
      return [
        {
          change: message.type === c.RTM_NEWLINK ? 'new' : 'deleted',
          what: 'link',
          link: decodeLink(message),
        },
      ]
    }
    case c.RTM_NEWADDR:
    case c.RTM_DELADDR:
      return [
        {
          change: message.type === c.RTM_NEWADDR ? 'new' : 'deleted',
          what: 'address',
          address: decodeAddress(message),
        },
      ]
    case c.RTM_NEWROUTE:
    case c.RTM_DELROUTE:
      return [
        {
          change: message.type === c.RTM_NEWROUTE ? 'new' : 'deleted',
          what: 'route',
          route: decodeRoute(message),
        },
      ]
    case c.RTM_NEWNEIGH:
    case c.RTM_DELNEIGH: {
      const neighbour = decodeNeighbour(message)
      // A bridge's forwarding table, without IP addresses.
      if (neighbour.address === '') return []
      return [{ change: message.type === c.RTM_NEWNEIGH ? 'new' : 'deleted', what: 'neighbour', neighbour }]
    }
    default:
      return []
  }
}
