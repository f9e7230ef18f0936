import { closeSync } from 'node:fs'
import { errors, type NetlinkError } from '../errors.ts'
import { openNetns } from '../namespaces.ts'
import { NETLINK_NETFILTER } from '../wire/constants.ts'
import type { Acknowledgement } from '../wire/message.ts'
import { isAnswered, isDump, type Outgoing, type Reply } from './exchange.ts'
import type { LinkRef, Lookup, Request } from './request.ts'

/** The results of a list of requests, each of its request's type. */
export type Results<R extends readonly Request<unknown>[]> = {
  [K in keyof R]: R[K] extends Request<infer T> ? T : never
}

// Well below the default send buffer of 208 KiB; and a receive buffer of 4 MiB holds that many acknowledgements.
const maxDatagramBytes = 64 << 10
const maxDatagramMessages = 256

export interface Prepared {
  /** The encoded requests, grouped as they are to be sent. */
  chunks: Outgoing[][]
  /** Links that the requests name and whose index was not given: they are to be prepared again with those. */
  unknownLinks: string[]
  /** What the requests may look up while they read their answers. */
  lookup: Lookup
  /** Closes what was opened for encoding; due when everything was sent. */
  release(): void
}

/** Encodes requests, given the indexes of the links they name, and divides them into datagrams. */
export function prepare(
  requests: readonly Request<unknown>[],
  protocol: number,
  indexes: ReadonlyMap<string, number> = new Map(),
): Prepared {
  const unknown = new Set<string>()
  const index = (link: LinkRef) => {
    if (typeof link === 'number') return link
    const known = indexes.get(link)
    if (known === undefined) unknown.add(link)
    return known ?? 0
  }
  const opened: number[] = []
  const release = () => opened.splice(0).forEach(closeSync)
  const netnsFd = (netns: string | number) => {
    if (typeof netns === 'number') return netns
    opened.push(openNetns(netns))
    return opened.at(-1)!
  }
  try {
    const outgoing = requests.map((request) => {
      if (request.protocol !== protocol)
        throw errors.ERR_NETLINK_PROTOCOL({
          operation: request.operation,
          expected: request.protocol,
          actual: protocol,
        })
      const { type, flags, isBracket } = request
      return { type, flags, isBracket, body: request.body({ index, netnsFd }) }
    })
    return { chunks: divide(outgoing, protocol), unknownLinks: [...unknown], lookup: { index }, release }
  } catch (error) {
    release()
    throw error
  }
}

function divide(outgoing: Outgoing[], protocol: number): Outgoing[][] {
  const chunks: Outgoing[][] = []
  let bytes = 0
  let chunk: Outgoing[] | undefined
  for (const message of outgoing) {
    bytes += message.body.length + 20
    // A socket dumps one table at a time.
    // Netfilter's transactions are one datagram each, however long.
    const isFull =
      protocol !== NETLINK_NETFILTER && (bytes > maxDatagramBytes || chunk?.length === maxDatagramMessages)
    if (!chunk || isFull || isDump(message.flags) || isDump(chunk[0]!.flags)) {
      chunk = []
      chunks.push(chunk)
      bytes = message.body.length + 20
    }
    chunk.push(message)
  }
  return chunks
}

/** Turns replies into the requests' results, or throws what the kernel refused. */
export function settle<const R extends readonly Request<unknown>[]>(
  requests: R,
  replies: readonly Reply[],
  lookup: Lookup,
): Results<R> {
  const refused: NetlinkError[] = []
  const unanswered: NetlinkError[] = []
  const results = requests.map((request, position) => {
    const { messages, acknowledgement } = replies[position]!
    if (acknowledgement ? acknowledgement.errno === 0 : !isAnswered(request.flags))
      return request.parse(messages, lookup)
    if (acknowledgement) refused.push(refusal(request, acknowledgement, position, requests.length))
    else unanswered.push(errors.ERR_NETLINK_NO_REPLY({ operation: request.operation }))
    return undefined
  })
  // A transaction that is refused as a whole, at its first message, leaves the others without an answer.
  const failures = refused.length > 0 ? refused : unanswered
  if (failures.length > 0) throw firstOf(failures)
  return results as Results<R> // each is what its own parse made
}

function refusal(
  { operation }: Request<unknown>,
  { errno, text, offset }: Acknowledgement,
  request: number,
  requests: number,
): NetlinkError {
  return errors.refused({
    operation,
    errno,
    request,
    requests,
    ...(text === undefined ? {} : { kernelText: text }),
    ...(offset === undefined ? {} : { offset }),
  })
}

function firstOf(failures: readonly NetlinkError[]): NetlinkError {
  const [first] = failures as [NetlinkError]
  if (failures.length === 1 || typeof first.details['errno'] !== 'number') return first
  return errors.batchRefused({ ...first.details, errno: first.details['errno'], failures }, first)
}
