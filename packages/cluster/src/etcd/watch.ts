import { errors } from '../errors.ts'
import { type KeyValue, watchLine } from './answers.ts'
import { type Connection, readLines, readWhole } from './connection.ts'
import { encode, encodeEnd } from './transaction.ts'

/** A key that was written, or is gone: then only its name and the revision of that are there. */
export interface WatchedChange {
  readonly change: 'put' | 'deleted'
  readonly entry: KeyValue
}

export interface WatchedChanges {
  readonly revision: number
  readonly changes: readonly WatchedChange[]
}

interface WatchRequest {
  readonly prefix: string
  readonly from: number
  readonly token: string | undefined
  readonly signal: AbortSignal
  /** For the endpoint to take the watch. Milliseconds. */
  readonly answerMs: number
}

/** How long one connection is watched. Milliseconds. */
const serviceMs = 20_000

/**
 * Watches over one connection for a while; what it returns ends without an error when that is over, or the connection is.
 * Rejects where the endpoint doesn't take it: Error when another one may, PodwireError when none will.
 */
export async function watchOn(
  connection: Connection,
  { prefix, from, token, signal, answerMs }: WatchRequest,
): Promise<AsyncGenerator<WatchedChanges>> {
  const service = new AbortController()
  const end = () => service.abort()
  signal.addEventListener('abort', end)
  let timer = setTimeout(end, answerMs)
  const done = () => {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
    service.abort()
  }
  try {
    signal.throwIfAborted()
    const body = {
      create_request: { key: encode(prefix), range_end: encodeEnd(prefix), start_revision: String(from) },
    }
    const response = await connection.post('/v3/watch', body, {
      signal: service.signal,
      token,
      isStream: true,
    })
    if (response.statusCode !== 200)
      throw new Error(`HTTP status ${response.statusCode}: ${await readWhole(response)}`)
    const answers = answersIn(readLines(response), connection.endpoint, from)
    // The first says that it is taken.
    const first = await answers.next()
    if (first.done) throw new Error('it ended the watch at once')
    clearTimeout(timer)
    timer = setTimeout(end, serviceMs)
    return (async function* () {
      try {
        yield first.value
        yield* answers
      } catch (error) {
        if (isOver(error)) throw error
        // The connection is gone; another one goes on from where this one ended.
      } finally {
        done()
      }
    })()
  } catch (error) {
    done()
    if (service.signal.aborted && !signal.aborted && isAbort(error)) throw new Error('no answer in time')
    throw error
  }
}

async function* answersIn(
  lines: AsyncGenerator<string>,
  endpoint: string,
  from: number,
): AsyncGenerator<WatchedChanges> {
  for await (const line of lines) {
    const { result, error } = parseLine(line, endpoint)
    if (error) throw new Error(error.message)
    if (!result) continue
    if (result.compact_revision > 0)
      throw errors.ETCD_COMPACTED({ revision: from, compacted: result.compact_revision })
    // It was made anew, or restored from a copy: what was heard of it before tells nothing.
    if (result.created && result.header.revision < from - 1)
      throw errors.ETCD_COMPACTED({ revision: from, compacted: result.header.revision })
    if (result.canceled) throw new Error(result.cancel_reason || 'it ended the watch')
    yield {
      // That etcd is at a revision does not say that all up to there was told, until something of it is.
      revision: Math.max(from - 1, ...result.events.map(({ kv }) => kv.modRevision)),
      changes: result.events.map(({ type, kv }) => ({
        change: type === 'DELETE' ? 'deleted' : 'put',
        entry: kv,
      })),
    }
  }
}

function parseLine(line: string, endpoint: string) {
  try {
    return watchLine().parse(JSON.parse(line))
  } catch (cause) {
    throw errors.ETCD_ANSWER({ endpoint, operation: 'watch' }, cause)
  }
}

const isAbort = (error: unknown) => error instanceof Error && error.name === 'AbortError'
const isOver = (error: unknown) =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('ETCD_')
