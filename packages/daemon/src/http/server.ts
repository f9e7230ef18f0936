import { errorToJson, isPodwireError, type Logger, messageOf } from '@podwire/api'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { errors } from '../errors.ts'
import type { EventLog } from '../events/event-log.ts'
import type { Operations } from '../operations.ts'
import type { Route } from './route.ts'
import { operationParams } from './schemas.ts'
import { statusOf } from './status.ts'

/** What a server answers with. */
export interface ServerParts {
  readonly routes: readonly Route[]
  readonly events: EventLog
  readonly operations: Operations
  readonly log: Logger
  /** Told of each request that was answered. */
  readonly onAnswered: (route: string, status: number, durationMs: number) => void
}

/** Who asks is trusted with the host's pods, and still must not fill its memory or hold it up by mistake. */
export const limits = {
  /** Of a request, in bytes: annotations are the largest part of one, and Kubernetes allows 256 KiB of them. */
  body: 512 * 1024,
  headerBytes: 8 * 1024,
  headers: 64,
  /** For all headers to arrive, and for the whole request. Milliseconds. */
  headersMs: 5_000,
  requestMs: 15_000,
  /** How long a connection is kept without a request. Milliseconds. */
  idleMs: 120_000,
  /** How often connections are looked at. Milliseconds. */
  lookMs: 2_000,
} as const

const never = new AbortController().signal

/** The HTTP server, which doesn't listen yet. */
export async function createServer(parts: ServerParts): Promise<FastifyInstance> {
  const { routes, events, operations, log, onAnswered } = parts
  const app = fastify({
    logger: false,
    bodyLimit: limits.body,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    return503OnClosing: false,
    // Names of pods have up to 253 characters, each up to three when it is escaped.
    routerOptions: { maxParamLength: 1_024 },
    http: {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.lookMs,
    },
    clientErrorHandler: (error, socket) => {
      log.debug(`a client sent what is not HTTP: ${error.message}`)
      const problems = [`it is not HTTP, or too slow or too large: ${error.message}`]
      const body = JSON.stringify({ error: errorToJson(errors.INVALID_REQUEST({ problems })) })
      const head = `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`
      if (socket.writable) socket.end(head + body)
      // A client that doesn't read would keep it half open.
      setTimeout(() => socket.destroy(), 1_000).unref()
    },
  })
  app.server.maxHeadersCount = limits.headers
  app.removeContentTypeParser('text/plain')

  app.setNotFoundHandler((request, reply) => {
    const { method, url } = request
    return fail(reply, errors.NO_SUCH_ROUTE({ method, path: url.slice(0, 200) }))
  })
  app.setErrorHandler((error, _request, reply) => {
    if (!isPodwireError(error)) log.error(`a request failed: ${messageOf(error)}`, { error })
    return fail(reply, asRequestError(error))
  })
  app.addHook('onResponse', async (request, reply) => {
    onAnswered(request.routeOptions.url ?? 'none', reply.statusCode, reply.elapsedTime)
  })

  for (const route of routes) {
    app.route({
      method: route.method,
      // OpenAPI's braces are fastify's colons.
      url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      handler: async (request, reply) => {
        const answer = await run(route, request, reply)
        reply.header('podwire-event', events.idOf(events.last))
        return answer === undefined ? reply.code(204).send() : answer
      },
    })
  }
  return app

  async function run(route: Route, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const { params, query, body } = request
    const serve = (signal: AbortSignal) => route.serve({ params, query, body }, signal)
    if (route.looks) return serve(never)
    const onGone = (callback: () => void) => onClientGone(request, reply, callback)
    return operations.run({ id: operationOf(request), onGone }, serve)
  }
}

function operationOf(request: FastifyRequest): string | undefined {
  const operation = request.headers['podwire-operation']
  if (operation === undefined) return undefined
  const parsed = operationParams.safeParse({ operation })
  if (parsed.success) return parsed.data.operation
  throw errors.INVALID_REQUEST({
    problems: ['header podwire-operation: expected 1–64 letters, digits or "-"'],
  })
}

/** Calls back when a client is gone before it has its answer. */
export function onClientGone(
  { raw: { socket } }: FastifyRequest,
  { raw }: FastifyReply,
  callback: () => void,
): void {
  const closed = () => {
    if (!raw.writableFinished) callback()
  }
  if (socket.destroyed) {
    closed()
    return
  }
  // Of answers that wait for one before them on their connection, none is told that it closed.
  socket.setMaxListeners(0)
  socket.once('close', closed)
  raw.once('finish', () => socket.off('close', closed))
}

export function fail(reply: FastifyReply, error: unknown): FastifyReply {
  return reply.code(statusOf(error)).send({ error: errorToJson(error) })
}

/** What fastify refuses is the client's mistake. */
function asRequestError(error: unknown): unknown {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
  const isRefusal = typeof status === 'number' && status >= 400 && status < 500 && !isPodwireError(error)
  return isRefusal ? errors.INVALID_REQUEST({ problems: [messageOf(error)] }) : error
}
