import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { createServer as createNetServer, type Socket } from 'node:net'
import { afterEach } from 'vitest'

/** What a shim asked. */
export interface Question {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** As the body says. */
  readonly env: Readonly<Record<string, string>>
  /** As the body says. */
  readonly stdin: Buffer
}

export interface Answer {
  readonly status?: number
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
}

/** Whoever answers at a socket of a test, until that has ended. */
export function useDaemons() {
  const ends: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0)) await end()
  })

  return {
    /** Node's HTTP. Returns all that is asked, as it comes. */
    async answering(
      socket: string,
      answer: (question: Question) => Answer | Promise<Answer> = () => ({ body: '{}' }),
    ): Promise<Question[]> {
      const questions: Question[] = []
      const server = createServer(async (request, response) => {
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk)
        const body = Buffer.concat(chunks)
        const { method, url, headers } = request
        const question = { method, url, headers, body, ...parseBody(body) }
        questions.push(question)
        const { status = 200, body: text = '', headers: more } = await answer(question)
        response.writeHead(status, {
          'content-type': 'application/json; charset=utf-8',
          'content-length': Buffer.byteLength(text),
          ...more,
        })
        response.end(text)
      })
      server.listen(socket)
      await once(server, 'listening')
      ends.push(async () => {
        server.closeAllConnections()
        server.close()
        await once(server, 'close')
      })
      return questions
    },

    /** Anything that speaks, or doesn't. Resolves with how many connections have ended. */
    async speaking(socket: string, speak: (connection: Socket) => void): Promise<() => number> {
      const connections = new Set<Socket>()
      let ended = 0
      const server = createNetServer((connection) => {
        connections.add(connection)
        connection.on('error', () => {})
        connection.on('close', () => {
          ended++
        })
        speak(connection)
      })
      server.listen(socket)
      await once(server, 'listening')
      ends.push(async () => {
        for (const one of connections) one.destroy()
        server.close()
        await once(server, 'close')
      })
      return () => ended
    },
  }
}

function parseBody(body: Buffer): Pick<Question, 'env' | 'stdin'> {
  // No variable at all is one NUL byte.
  const end = body[0] === 0 ? 0 : body.indexOf('\0\0') + 1
  const variables = body.toString('latin1', 0, end).split('\0').filter(Boolean)
  const env = Object.fromEntries(
    variables.map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]),
  )
  return { env, stdin: body.subarray(end + 1) }
}
