import { checked, native } from '../native.ts'
import { prepare, type Results, settle } from './batch.ts'
import { createExchange, type Exchange } from './exchange.ts'
import type { Request } from './request.ts'
import { makeRoomFor, receive } from './socket.ts'

/** Sends what an exchange has to say, and takes in the answers. */
export function exchangeOn(fd: number, exchange: Exchange, operation: string): void {
  send(fd, exchange.datagram, operation)
  while (takeNext(fd, exchange));
}

/** Sends a datagram, however large it is, where the kernel allows that. */
export function send(fd: number, datagram: Uint8Array, operation: string): void {
  const ask = () => native().send(fd, datagram, datagram.length, 0)
  if (ask() !== -1) return
  if (native().errno() === EMSGSIZE) makeRoomFor(fd, datagram.length)
  checked(ask(), operation, 'send')
}

const EMSGSIZE = 90

/** Takes one datagram in; false when the exchange is complete or nothing more comes. */
export function takeNext(fd: number, exchange: Exchange): boolean {
  if (exchange.isComplete()) return false
  const messages = receive(fd)
  if (messages) exchange.take(messages)
  return messages !== undefined
}

/** Runs requests that fit into one datagram on a socket of the caller's. They must not name links, nor dump. */
export function runOn<const R extends readonly Request<unknown>[]>(
  fd: number,
  protocol: number,
  requests: R,
): Results<R> {
  const { chunks, lookup, release } = prepare(requests, protocol)
  try {
    const exchange = createExchange(chunks[0] ?? [], 1)
    exchangeOn(fd, exchange, requests[0]?.operation ?? 'batch')
    return settle(requests, exchange.replies, lookup)
  } finally {
    release()
  }
}
