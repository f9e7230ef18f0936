import { lstatSync, realpathSync, type Stats } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isExposed, upwards } from '@podwire/api/files'
import { CNI_DOOR } from '../protocol.ts'
import { errnoOf, Problem, reasonOf, TRY_AGAIN_LATER } from './problem.ts'

export interface Reply {
  readonly isDone: boolean
  readonly body: Buffer
}

/**
 * Ends with a whole answer, or says why there is none.
 * @throws Problem with `TRY_AGAIN_LATER`, whatever the command
 */
export async function askDaemon(socketPath: string, body: Buffer, signal: AbortSignal): Promise<Reply> {
  try {
    const why = whyUntrusted(socketPath)
    if (why !== undefined) throw new Error(why)
    return await askInTurn(socketPath, body, signal)
  } catch (error) {
    const why = signal.aborted ? signal.reason.message : explain(error)
    throw new Problem(TRY_AGAIN_LATER, `the podwire daemon can't be asked at ${socketPath}: ${why}`)
  }
}

function explain(error: unknown): string {
  const errno = errnoOf(error)
  if (errno === 'ENOENT' || errno === 'ECONNREFUSED') return 'it does not run; start it with "podwire daemon"'
  if (errno === 'ECONNRESET' || errno === 'EPIPE') return 'it closed the connection without an answer'
  if (errno?.startsWith('HPE_')) return `it is not HTTP/1.1 that it answers: ${reasonOf(error)}`
  return reasonOf(error)
}

/**
 * Whoever listens there gets to know what the pods are called, and decides what their runtime is told. Node does not say who the
 * other side is, so that what counts is who can have made the socket.
 */
function whyUntrusted(socketPath: string): string | undefined {
  const untrusted = 'it is not trusted, as neither root nor the user of the shim runs it'
  if (!isOurs(lstatSync(socketPath))) return untrusted
  for (const { at, found } of upwards(realpathSync(dirname(socketPath))))
    if (isExposed(found, true)) return `${untrusted}: others may write to ${at}`
  return undefined
}

const isOurs = ({ uid }: Stats): boolean => uid === 0 || uid === process.geteuid?.()

/** Too many may wait for it already: of a Unix socket nobody is told when there is room. */
async function askInTurn(socketPath: string, body: Buffer, signal: AbortSignal): Promise<Reply> {
  for (;;) {
    try {
      return await ask(socketPath, body, signal)
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error
      await sleep(5, undefined, { signal })
    }
  }
}

// To find out that there is none takes Node a regular expression of all addresses there are.
const noTls = { servername: '' }

function ask(socketPath: string, body: Buffer, signal: AbortSignal): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request({
      socketPath,
      ...noTls,
      agent: false,
      method: 'POST',
      path: CNI_DOOR.path,
      signal,
      headers: {
        host: 'podwire',
        'content-type': CNI_DOOR.contentType,
        'content-length': body.length,
        connection: 'close',
      },
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      readReply(response).then(resolve, (error) => {
        sent.destroy()
        reject(error)
      })
    })
    sent.end(body)
  })
}

async function readReply(response: IncomingMessage): Promise<Reply> {
  const length = checkHead(response)
  const chunks: Buffer[] = []
  try {
    for await (const chunk of response) chunks.push(chunk)
  } catch {
    // Told below.
  }
  const body = Buffer.concat(chunks)
  if (!response.complete || body.length !== length) throw new Error('its answer is not whole')
  return { isDone: response.statusCode === CNI_DOOR.done, body }
}

/** @returns the length of the body */
function checkHead({ statusCode, httpVersion, headers }: IncomingMessage): number {
  if (httpVersion !== '1.1') throw new Error('it is not HTTP/1.1')
  if (statusCode !== CNI_DOOR.done && statusCode !== CNI_DOOR.failed)
    throw new Error(`its status is ${statusCode}`)
  if (headers['transfer-encoding'] !== undefined) throw new Error('it comes in pieces')
  const length = headers['content-length']
  if (length === undefined) throw new Error('it has no length')
  if (!/^\d{1,7}$/.test(length) || Number(length) > CNI_DOOR.maxAnswerBytes)
    throw new Error('its length is not a number up to 4 MiB')
  if (length !== '0' && !/^application\/json(?:[; ]|$)/i.test(headers['content-type'] ?? ''))
    throw new Error('it is not JSON')
  return Number(length)
}
