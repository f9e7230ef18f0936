import { randomBytes } from 'node:crypto'
import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import { errnoOf, errorFromJson, isPodwireError } from '@podwire/api'
import { errors } from './errors.ts'

/** One question to a daemon. */
export interface Question {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  /** Aborts the operation in the daemon; the answer is waited for, as it undoes what it did. */
  readonly signal?: AbortSignal | undefined
  /** It must not be asked twice, though the connection is lost. */
  readonly once?: boolean
  /** How long to wait for the answer. Default: as long as the daemon's own deadlines say. Milliseconds. */
  readonly withinMs?: number
}

/** What a daemon answered. */
interface Answer {
  /** Parsed JSON; undefined where there is nothing to say. */
  readonly body: unknown
  /** The last event before the answer; undefined where the daemon told none. */
  readonly lastEvent: string | undefined
}

/** Questions over connections that are kept. */
export interface Connection {
  /** @throws PodwireError the daemon's, `DAEMON_NOT_RUNNING`, `DAEMON_CONNECTION_LOST`, `DAEMON_ANSWER`; the signal's reason */
  ask(question: Question): Promise<Answer>
  close(): void
}

/** How long an aborted operation may take to be undone, before it is left behind: longer than the daemon gives it. Milliseconds. */
const undoMs = 30_000

// To find out that there is none takes Node a regular expression of all addresses there are.
const noTls = { servername: '' }

/**
 * Node's HTTP as it is: an import of it would ask for each of its exports, some of which load a great deal, and a command
 * has a few milliseconds.
 */
export function nodeHttp(): typeof import('node:http') {
  return process.getBuiltinModule('node:http')
}

/** At once; what is asked besides waits in line. A daemon has room for some clients like this. */
const mostConnections = 256

export function createConnection(socket: string): Connection {
  const { Agent, request } = nodeHttp()
  const agent = new Agent({ keepAlive: true, maxSockets: mostConnections, maxFreeSockets: 64 })

  const askOnce = (question: Question, operation: string | undefined, through: Agent | false = agent) =>
    new Promise<Answer>((resolve, reject) => {
      const { method, path, body, signal, once = false, withinMs } = question
      const what = `${method} ${path}`
      const text = body === undefined ? undefined : JSON.stringify(body)
      const sent = request({
        agent: through,
        socketPath: socket,
        ...noTls,
        method,
        path,
        headers: {
          host: 'podwire',
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          ...(operation === undefined ? {} : { 'podwire-operation': operation }),
        },
      })
      const giveUp = (ms: number) => {
        const timer = setTimeout(() => sent.destroy(new Error(`no answer within ${ms / 1000} s`)), ms)
        sent.on('close', () => clearTimeout(timer))
      }
      if (withinMs !== undefined) giveUp(withinMs)
      signal?.addEventListener('abort', () => giveUp(undoMs), { once: true })
      sent.on('error', (cause) => {
        if (!once && isStale(sent, cause)) resolve(askOnce(question, operation))
        else reject(lost(socket, what, cause))
      })
      sent.on('response', (response) => {
        readAnswer(response, what, signal).then(resolve, reject)
      })
      sent.end(text)
    })

  const abort = (operation: string) => {
    // Not behind what it is to end. Should it not get there, the waiting ends all the same.
    askOnce({ method: 'DELETE', path: `/v1/operations/${operation}` }, undefined, false).catch(() => {})
  }

  return {
    ask: async (question) => {
      const { signal } = question
      if (!signal) return askOnce(question, undefined)
      signal.throwIfAborted()
      const operation = randomBytes(12).toString('hex')
      const onAbort = () => abort(operation)
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        return await askOnce(question, operation)
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
    close: () => agent.destroy(),
  }
}

/** A connection that was kept may have ended a moment before it was used again; the daemon has heard of nothing then. */
function isStale(sent: ClientRequest, cause: Error): boolean {
  return sent.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(errnoOf(cause) ?? '')
}

/** What a connection that failed means. */
export function lost(socket: string, what: string, cause: unknown): Error {
  const code = errnoOf(cause) ?? ''
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return errors.DAEMON_NOT_RUNNING({ socket }, cause)
  if (code === 'EACCES' || code === 'EPERM') return errors.DAEMON_REFUSES({ socket }, cause)
  return errors.DAEMON_CONNECTION_LOST({ what }, cause)
}

/** More than the records of a hundred thousand pods, in bytes. */
const largestAnswer = 256 * 2 ** 20

async function readAnswer(
  response: IncomingMessage,
  what: string,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const { statusCode = 0, headers } = response
  const lastEvent = headers['podwire-event']
  const body = parse(await textOf(response, what), what)
  if (statusCode >= 200 && statusCode < 300) {
    return { body, lastEvent: typeof lastEvent === 'string' ? lastEvent : undefined }
  }
  const failure = isObject(body) ? body['error'] : undefined
  if (failure === undefined)
    throw errors.DAEMON_ANSWER({ what, problem: `status ${statusCode} without an error` })
  throw errorFromJson(failure, (error) =>
    signal?.aborted && isPodwireError(error) && error.code === 'OPERATION_ABORTED' ? reasonOf(signal) : error,
  )
}

async function textOf(response: IncomingMessage, what: string): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > largestAnswer)
        throw errors.DAEMON_ANSWER({ what, problem: `more than ${largestAnswer} bytes` })
      chunks.push(chunk)
    }
  } catch (cause) {
    throw isPodwireError(cause) && cause.code === 'DAEMON_ANSWER'
      ? cause
      : errors.DAEMON_CONNECTION_LOST({ what }, cause)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse(text: string, what: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw errors.DAEMON_ANSWER({ what, problem: 'it is not JSON' }, cause)
  }
}

/** A program may abort with anything; by default it is an error. */
function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
