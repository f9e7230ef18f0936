import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '@podwire/api'
import type * as z from 'zod/mini'
import { startDeadline } from '../deadline.ts'
import { errors } from '../errors.ts'
import {
  authenticateAnswer,
  emptyAnswer,
  failureAnswer,
  grantAnswer,
  type KeyValue,
  keepAliveAnswer,
  rangeAnswer,
  timeToLiveAnswer,
  transactionAnswer,
} from './answers.ts'
import { type Connection, connect, readWhole, type Tls } from './connection.ts'
import {
  type Compare,
  encode,
  encodeCompare,
  encodeEnd,
  encodeOperation,
  type Operation,
} from './transaction.ts'
import { tryEndpoints } from './try-endpoints.ts'
import { type WatchedChanges, watchOn } from './watch.ts'

export interface EtcdOptions extends Tls {
  /** Client URLs: `https://10.0.0.1:2379`. The first that answers is used. */
  readonly endpoints: readonly string[]
  readonly username?: string
  readonly password?: string
}

export interface Range {
  /** Of etcd, when it was read. */
  readonly revision: number
  readonly entries: readonly KeyValue[]
}

interface TransactionResult {
  readonly succeeded: boolean
  readonly revision: number
  /** What each `get` found, in order. */
  readonly found: readonly (KeyValue | undefined)[]
}

/**
 * What is used of etcd, by the JSON gateway that every member has. Whatever it asks is answered by a majority of the members.
 * Errors: `ETCD_UNREACHABLE` when no endpoint answered, and what was asked may have been done or not; `ETCD_REFUSED`;
 * `ETCD_ANSWER`.
 */
export interface Etcd {
  get(key: string): Promise<KeyValue | undefined>
  /** All keys that begin with a prefix. */
  list(prefix: string): Promise<Range>
  /** Does `success` when everything compared holds, in one step, else `failure`. */
  transaction(
    compare: readonly Compare[],
    success: readonly Operation[],
    failure?: readonly Operation[],
  ): Promise<TransactionResult>
  /** Begins a lease; its keys go when it ends. Seconds: etcd may give more than it was asked for. */
  grant(seconds: number): Promise<{ id: string; seconds: number }>
  /** Begins its time anew; how many seconds it has, 0 when it has ended. */
  keepAlive(id: string): Promise<number>
  /** How many seconds a lease has, and how many it was begun with; undefined when it has ended. */
  timeToLive(id: string): Promise<{ seconds: number; granted: number } | undefined>
  revoke(id: string): Promise<void>
  /**
   * What changes below a prefix from a revision on, in order and without a gap; an empty list says that the watch is up to date.
   * It goes on over lost connections, and throws when no endpoint answers.
   * @throws PodwireError `ETCD_COMPACTED` where etcd doesn't know any more: list again
   */
  watch(prefix: string, from: number, signal: AbortSignal): AsyncGenerator<WatchedChanges>
  close(): void
}

/** For one endpoint to answer. Milliseconds. */
const answerMs = 5_000

/** So many keys are read at a time: no answer is larger than what is taken, and others have their turn between two. */
const pageSize = 1_000

// gRPC's: what another member may do where this one can't.
const UNAUTHENTICATED = 16
const elsewhere: ReadonlySet<number> = new Set([1, 4, 14])

/** Connects to nothing before it is asked. */
export function openEtcd({ endpoints, username, password, ...tls }: EtcdOptions): Etcd {
  const connections = endpoints.map((endpoint) => connect(endpoint, tls))
  const closed = new AbortController()
  let token: string | undefined
  /** The endpoint that answered last. */
  let current = 0

  async function login(connection: Connection): Promise<void> {
    if (username === undefined || token !== undefined) return
    const body = { name: username, password }
    const answer = await exchange(connection, '/v3/auth/authenticate', body, 'log in', authenticateAnswer())
    token = answer.token
  }

  async function exchange<T>(
    connection: Connection,
    path: string,
    body: unknown,
    operation: string,
    schema: z.ZodMiniType<T>,
  ): Promise<T> {
    const { endpoint } = connection
    const deadline = startDeadline(answerMs, closed.signal)
    let response: IncomingMessage
    let text: string
    try {
      response = await connection.post(path, body, { signal: deadline.signal, token })
      text = await readWhole(response)
    } finally {
      deadline.end()
    }
    if (response.statusCode !== 200) throw failureOf(text, response.statusCode ?? 0, endpoint, operation)
    return parse(text, schema, endpoint, operation)
  }

  /** Asks the endpoints one after the other until one answers. */
  function ask<T>(path: string, body: unknown, operation: string, schema: z.ZodMiniType<T>): Promise<T> {
    return anywhere(operation, (connection) => exchange(connection, path, body, operation, schema))
  }

  async function anywhere<T>(operation: string, work: (connection: Connection) => Promise<T>): Promise<T> {
    const { result, at } = await tryEndpoints(connections, current, operation, async (connection) => {
      await login(connection)
      const used = token
      try {
        return await work(connection)
      } catch (error) {
        // The token ended, or the member never knew it; a watch is not told which it was.
        if (token === used) token = undefined
        if (!isUnauthenticated(error) || username === undefined) throw error
        await login(connection)
        return await work(connection)
      }
    })
    current = at
    return result
  }

  return {
    async get(key) {
      const { kvs } = await ask('/v3/kv/range', { key: encode(key) }, `read ${key}`, rangeAnswer())
      return kvs[0]
    },
    async list(prefix) {
      const entries: KeyValue[] = []
      let [key, revision] = [encode(prefix), 0]
      for (;;) {
        // All pages are of the moment of the first.
        const of = revision === 0 ? {} : { revision }
        const body = { key, range_end: encodeEnd(prefix), limit: pageSize, ...of }
        const page = await ask('/v3/kv/range', body, `list ${prefix}`, rangeAnswer())
        revision ||= page.header.revision
        entries.push(...page.kvs)
        if (!page.more || page.kvs.length === 0) return { revision, entries }
        key = Buffer.concat([page.lastKey, Buffer.of(0)]).toString('base64')
      }
    },
    async transaction(compare, success, failure = []) {
      const body = {
        compare: compare.map(encodeCompare),
        success: success.map(encodeOperation),
        failure: failure.map(encodeOperation),
      }
      const answer = await ask('/v3/kv/txn', body, 'change keys', transactionAnswer())
      const { succeeded, header, responses } = answer
      const ranges = responses.flatMap(({ response_range }) =>
        response_range ? [response_range.kvs[0]] : [],
      )
      return { succeeded, revision: header.revision, found: ranges }
    },
    async grant(seconds) {
      const body = { TTL: String(Math.ceil(seconds)), ID: '0' }
      const { ID, TTL } = await ask('/v3/lease/grant', body, 'begin a lease', grantAnswer())
      return { id: ID, seconds: TTL }
    },
    async keepAlive(id) {
      const { result } = await ask('/v3/lease/keepalive', { ID: id }, 'renew a lease', keepAliveAnswer())
      return Math.max(0, result.TTL)
    },
    async timeToLive(id) {
      const answer = await ask('/v3/lease/timetolive', { ID: id }, 'look at a lease', timeToLiveAnswer())
      return answer.TTL > 0 ? { seconds: answer.TTL, granted: answer.grantedTTL } : undefined
    },
    async revoke(id) {
      await ask('/v3/lease/revoke', { ID: id }, 'end a lease', emptyAnswer())
    },
    async *watch(prefix, from, signal) {
      const until = AbortSignal.any([signal, closed.signal])
      let next = from
      while (!until.aborted) {
        // Each connection serves a while and is made anew, so that one which died without a word is found out.
        const changes = await anywhere(`watch ${prefix}`, (connection) =>
          watchOn(connection, { prefix, from: next, token, signal: until, answerMs }),
        )
        for await (const batch of changes) {
          next = Math.max(next, batch.revision + 1)
          yield batch
        }
        // One that ends at once, again and again, must not be a busy loop.
        await sleep(20, undefined, { ref: false })
      }
    },
    close() {
      closed.abort()
      for (const connection of connections) connection.close()
    },
  }
}

function parse<T>(text: string, schema: z.ZodMiniType<T>, endpoint: string, operation: string): T {
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw errors.ETCD_ANSWER({ endpoint, operation }, cause)
  }
}

function failureOf(text: string, status: number, endpoint: string, operation: string): Error {
  // What comes from before the gateway is a line of text.
  if (!text.startsWith('{') && status < 500)
    return errors.ETCD_REFUSED({
      operation,
      endpoint,
      reason: text.trim().slice(0, 300) || `HTTP status ${status}`,
    })
  try {
    const { error, message, code } = failureAnswer().parse(JSON.parse(text))
    const reason = message ?? error ?? `HTTP status ${status}`
    if (code !== undefined && elsewhere.has(code)) return new Error(reason)
    return errors.ETCD_REFUSED({
      operation,
      endpoint,
      reason,
      ...(code === undefined ? {} : { grpcCode: code }),
    })
  } catch (cause) {
    if (status >= 500) return new Error(`HTTP status ${status}`)
    return errors.ETCD_ANSWER({ endpoint, operation }, cause)
  }
}

function isUnauthenticated(error: unknown): boolean {
  const { details } = error as { details?: { grpcCode?: unknown } } // any error may have them
  // Of a watch there is the text alone.
  return (
    details?.grpcCode === UNAUTHENTICATED ||
    /code = Unauthenticated|auth token|permission denied/.test(messageOf(error))
  )
}
