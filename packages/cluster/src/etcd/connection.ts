import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { messageOf } from '@podwire/api'

/** What a connection is made with. Certificates and keys are PEM texts. */
export interface Tls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** One endpoint of etcd's JSON gateway. */
export interface Connection {
  readonly endpoint: string
  /** Posts JSON. Resolves with the response when its head is there; rejects where nobody answers. */
  post(path: string, body: unknown, options: PostOptions): Promise<IncomingMessage>
  close(): void
}

interface PostOptions {
  readonly signal: AbortSignal
  readonly token?: string | undefined
  /** Over a connection of its own, which stays until it is ended. */
  readonly isStream?: boolean
}

export function connect(endpoint: string, tls: Tls): Connection {
  const isSecure = endpoint.startsWith('https:')
  const agent = isSecure ? new HttpsAgent({ keepAlive: true, ...tls }) : new HttpAgent({ keepAlive: true })
  return {
    endpoint,
    post: (path, body, { signal, token, isStream = false }) =>
      new Promise((resolve, reject) => {
        const text = JSON.stringify(body)
        const sent = (isSecure ? httpsRequest : httpRequest)(new URL(path, endpoint), {
          method: 'POST',
          signal,
          agent: isStream ? false : agent,
          ...(isSecure && isStream ? tls : {}),
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(text),
            // A member that lost the others would keep a watch and never tell of anything.
            'grpc-metadata-hasleader': 'true',
            ...(token === undefined ? {} : { authorization: token }),
          },
        })
        sent.on('error', reject)
        sent.on('response', resolve)
        sent.end(text)
      }),
    close: () => agent.destroy(),
  }
}

/** More than etcd ever answers with, in bytes. */
const largest = 64 * 2 ** 20

/** Reads a response whole. @throws Error about what it is too large for, or that it broke off */
export async function readWhole(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > largest) throw new Error(`it has more than ${largest} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The lines of a response as they come. */
export async function* readLines(response: IncomingMessage): AsyncGenerator<string> {
  let rest = ''
  response.setEncoding('utf8')
  for await (const chunk of response as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > largest) throw new Error(`a line has more than ${largest} characters`)
    yield* lines.filter((line) => line !== '')
  }
}

/** In words for people: Node's own errors have their reason in the code alone, at times. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ')
  // What ends a request that waits is its deadline.
  if (error instanceof Error && ['TimeoutError', 'AbortError'].includes(error.name))
    return 'no answer in time'
  return messageOf(error)
}
