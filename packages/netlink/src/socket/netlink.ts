import { setImmediate } from 'node:timers/promises'
import { errors } from '../errors.ts'
import { type Netns, withNetns } from '../namespaces.ts'
import { native } from '../native.ts'
import { NETLINK_ROUTE } from '../wire/constants.ts'
import { type Prepared, prepare, type Results, settle } from './batch.ts'
import { createExchange, type Exchange, type Outgoing, type Reply } from './exchange.ts'
import { linkIndex } from './link-index.ts'
import type { Request } from './request.ts'
import { exchangeOn, send, takeNext } from './run.ts'
import { closeSocket, openSocket, openSocketBeside } from './socket.ts'

export interface NetlinkOptions {
  /** The namespace to work in; without it the one the process is in now. The path is not needed afterwards. */
  netns?: Netns
  /** Default: NETLINK_ROUTE (0). NETLINK_NETFILTER (12) is for conntrack, nf_tables and nflog. */
  protocol?: number
}

/**
 * A way to the kernel's network tables in one namespace. Errors: a refusal carries the errno's name as `code`, and
 * the operation and the kernel's words in its message; else `ERR_NETLINK_…`.
 */
export interface Netlink {
  readonly protocol: number
  /**
   * Runs a request on the thread pool, after those before it: for what the kernel takes milliseconds for, deletes
   * above all.
   */
  run<T>(request: Request<T>): Promise<T>
  /** Runs a request at once; most take the kernel some ten microseconds. */
  runSync<T>(request: Request<T>): T
  /**
   * Runs requests in order, in as few system calls as possible. The kernel tries each one whatever became of those
   * before, and undoes nothing. The error is that of the first refused; `details.request` is its position,
   * `details.failures` holds all when there are several. A link made in the same batch is known to `links` by
   * its name; for all others names are looked up before anything is sent, so give it an `index` and refer to that.
   */
  batch<const R extends readonly Request<unknown>[]>(requests: R): Promise<Results<R>>
  /** The same at once. */
  batchSync<const R extends readonly Request<unknown>[]>(requests: R): Results<R>
  /** Opens another socket of the protocol in this namespace, non-blocking, the caller's to close. */
  openSocket(): number
  /** Closes the sockets once the requests under way are done. Later ones fail with `ERR_NETLINK_CLOSED`. */
  close(): void
  [Symbol.dispose](): void
}

const maxDumpAttempts = 32

/** Opens a netlink socket. Errors: those of `withNetns`, `ERR_NETLINK_UNAVAILABLE`. */
export function openNetlink({ netns, protocol = NETLINK_ROUTE }: NetlinkOptions = {}): Netlink {
  const quick = netns === undefined ? openSocket(protocol) : withNetns(netns, () => openSocket(protocol))
  // What runs on the thread pool has a socket of its own, so that no answer comes to the wrong reader.
  let slow: number | undefined
  let lastInLine: Promise<unknown> = Promise.resolve()
  let nextSequence = 1
  let waiting = 0
  let isClosed = false

  function begin(chunk: Outgoing[]): Exchange {
    const exchange = createExchange(chunk, nextSequence)
    nextSequence = (nextSequence + chunk.length) >>> 0
    return exchange
  }

  function exchangeSync(chunk: Outgoing[], operation: string): Reply[] {
    for (let attempt = 0; attempt < maxDumpAttempts; attempt++) {
      const exchange = begin(chunk)
      exchangeOn(quick, exchange, operation)
      if (!exchange.isInterrupted()) return exchange.replies
    }
    throw errors.ERR_NETLINK_INTERRUPTED({ operation, attempts: maxDumpAttempts })
  }

  async function exchange(chunk: Outgoing[], operation: string): Promise<Reply[]> {
    slow ??= openSocketBeside(quick, protocol)
    for (let attempt = 0; attempt < maxDumpAttempts; attempt++) {
      const exchange = begin(chunk)
      const sent = await native().sendAsync(slow, exchange.datagram, exchange.datagram.length, 0)
      // The reason stayed on the other thread: the same again tells it.
      if (sent === -1) send(slow, exchange.datagram, operation)
      // A long dump comes in pieces that the kernel makes as they are read.
      while (takeNext(slow, exchange)) await setImmediate()
      if (!exchange.isInterrupted()) return exchange.replies
    }
    throw errors.ERR_NETLINK_INTERRUPTED({ operation, attempts: maxDumpAttempts })
  }

  function batchSync<const R extends readonly Request<unknown>[]>(requests: R): Results<R> {
    const first = prepare(requests, protocol)
    const names = namesToLookUp(first)
    const { chunks, lookup, release } = names
      ? prepareAgain(requests, names, batchSync(names.map(linkIndex)))
      : first
    try {
      const replies = chunks.flatMap((chunk) => exchangeSync(chunk, requests[0]!.operation))
      return settle(requests, replies, lookup)
    } finally {
      release()
    }
  }

  // Looks names up on the thread pool too: even that waits while the kernel's one lock is held for a long deletion.
  async function batchInLine<const R extends readonly Request<unknown>[]>(requests: R): Promise<Results<R>> {
    const first = prepare(requests, protocol)
    const names = namesToLookUp(first)
    const { chunks, lookup, release } = names
      ? prepareAgain(requests, names, await batchInLine(names.map(linkIndex)))
      : first
    try {
      const replies: Reply[] = []
      for (const chunk of chunks) replies.push(...(await exchange(chunk, requests[0]!.operation)))
      return settle(requests, replies, lookup)
    } finally {
      release()
    }
  }

  const prepareAgain = (requests: readonly Request<unknown>[], names: string[], indexes: number[]) =>
    prepare(requests, protocol, new Map(names.map((name, at) => [name, indexes[at]!])))

  async function batch<const R extends readonly Request<unknown>[]>(requests: R): Promise<Results<R>> {
    mustBeOpen(requests)
    const mine = lastInLine.then(() => batchInLine(requests))
    waiting++
    lastInLine = mine
      .catch(() => {})
      .then(() => {
        waiting--
        if (isClosed) closeWhenIdle()
      })
    return mine
  }

  function mustBeOpen([first]: readonly Request<unknown>[]) {
    if (isClosed) throw errors.ERR_NETLINK_CLOSED({ operation: first?.operation ?? 'batch' })
  }

  function closeWhenIdle() {
    if (waiting > 0) return
    closeSocket(quick)
    if (slow !== undefined) closeSocket(slow)
  }

  function close() {
    if (isClosed) return
    isClosed = true
    closeWhenIdle()
  }

  return {
    protocol,
    run: async (request) => (await batch([request]))[0],
    runSync(request) {
      mustBeOpen([request])
      return batchSync([request])[0]
    },
    batch,
    batchSync(requests) {
      mustBeOpen(requests)
      return batchSync(requests)
    },
    openSocket: () => openSocketBeside(quick, protocol),
    close,
    [Symbol.dispose]: close,
  }
}

function namesToLookUp({ unknownLinks, release }: Prepared): string[] | undefined {
  if (unknownLinks.length === 0) return undefined
  release()
  return unknownLinks
}
