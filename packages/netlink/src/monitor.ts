import { type Address, decodeAddress } from './codec/address.ts'
import * as c from './codec/constants.ts'
import { AF_BRIDGE } from './codec/ip.ts'
import { decodeLink, type Link } from './codec/link.ts'
import type { Message } from './codec/message.ts'
import { decodeNeighbour, type Neighbour } from './codec/neighbour.ts'
import { decodeRoute, type Route } from './codec/route.ts'
import { type NetlinkError, overrun } from './errors.ts'
import { native } from './native.ts'
import type { Netlink } from './netlink.ts'
import { closeSocket, joinGroups, receive } from './socket.ts'

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
  const queue: NetworkChange[] = []
  let isEnded = false
  let failure: NetlinkError | undefined
  let wake = () => {}

  const poll = native().whenReadable(fd, () => {
    try {
      for (let messages = receive(fd); messages; messages = receive(fd))
        queue.push(...messages.flatMap(changesOf))
    } catch (error) {
      const { code } = error as NetlinkError // receive throws nothing else
      failure = code === 'ENOBUFS' ? overrun() : (error as NetlinkError)
      end()
    }
    wake()
  })

  function end() {
    if (isEnded) return
    isEnded = true
    signal?.removeEventListener('abort', end)
    poll.stop()
    closeSocket(fd)
    wake()
  }

  if (signal?.aborted) end()
  signal?.addEventListener('abort', end)

  async function next(): Promise<IteratorResult<NetworkChange>> {
    while (queue.length === 0 && !isEnded)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    const value = queue.shift()
    if (value) return { value, done: false }
    if (!failure) return { value: undefined, done: true }
    const error = failure
    failure = undefined
    throw error
  }

  return {
    next,
    async return() {
      queue.length = 0
      end()
      return { value: undefined, done: true }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
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
