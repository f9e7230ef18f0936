import type { ServerResponse } from 'node:http'
import { type Logger, messageOf } from '@podwire/api'
import type { NetworkHost } from '@podwire/core'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type * as z from 'zod'
import { errors } from '../../errors.ts'
import type { EventLog } from '../../events/event-log.ts'
import type { EventLogs } from '../../events/event-logs.ts'
import { sendEvents } from '../../events/send-events.ts'
import { eventsQuery, flowsQuery } from '../schemas.ts'
import { fail } from '../server.ts'

/** What streams tell. */
export interface Streamed {
  readonly events: EventLogs
  readonly host: Pick<NetworkHost, 'watchFlows'>
  /** How many may be open at a time. */
  readonly most: number
  readonly log: Logger
}

/** Adds `/v1/events` and `/v1/flows`. Returns what ends all streams. */
export function addStreams(app: FastifyInstance, { events, host, most, log }: Streamed): { endAll(): void } {
  const ends = new Set<() => void>()
  /** Streams that are not open yet, and have their place. */
  let opening = 0
  let isEnding = false
  /** Streams that have flows watched, or wait for it. */
  let watching = 0

  /** Sends a log to a client until it goes. @param atEnd called once */
  function stream(
    from: EventLog,
    raw: ServerResponse,
    after: string | undefined,
    query: z.output<typeof eventsQuery>,
    atEnd: () => void,
  ) {
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    const end = () => {
      stop()
      raw.end()
    }
    ends.add(end)
    raw.on('close', () => {
      ends.delete(end)
      atEnd()
    })
    const stop = sendEvents(from, raw, {
      after,
      fromStart: query.from === 'start',
      untilNow: query.until === 'now',
    })
    // It began while all others were ended.
    if (isEnding) end()
  }

  /** The query, or undefined where an error was answered. */
  function admitted<S extends z.ZodType>(request: FastifyRequest, reply: FastifyReply, schema: S) {
    const query = schema.safeParse(request.query)
    if (query.success && ends.size + opening < most) return query.data
    const problems = query.error?.issues.map(({ path, message }) => `query.${path.join('.')}: ${message}`)
    fail(reply, problems ? errors.INVALID_REQUEST({ problems }) : errors.TOO_MANY_STREAMS({ most }))
    return undefined
  }

  async function watchFlows() {
    // What is open is told anew.
    if (watching === 0) events.flows.pass()
    watching++
    opening++
    try {
      const unwatch = await host.watchFlows()
      return () => {
        watching--
        return unwatch()
      }
    } catch (error) {
      watching--
      throw error
    } finally {
      opening--
    }
  }

  app.get('/v1/events', (request, reply) => {
    const query = admitted(request, reply, eventsQuery)
    if (!query) return reply
    stream(events.all, reply.hijack().raw, lastEventId(request), query, () => {})
    return reply
  })

  app.get('/v1/flows', async (request, reply) => {
    const query = admitted(request, reply, flowsQuery)
    if (!query) return reply
    const before = events.flows.last
    // Whoever asks for allowed flows has them watched for as long as the stream is open, and is told of those there are.
    const unwatch = query.only === 'denied' ? async () => {} : await watchFlows()
    const { raw } = reply.hijack()
    const end = () =>
      void unwatch().catch((error: unknown) => log.warn(`flows are watched still: ${messageOf(error)}`))
    if (raw.destroyed) end()
    else {
      const after = lastEventId(request) ?? (query.from ? undefined : events.flows.idOf(before))
      stream(events.flows, raw, after, query, end)
    }
    return reply
  })

  return {
    endAll: () => {
      isEnding = true
      for (const end of ends) end()
    },
  }
}

function lastEventId({ headers }: FastifyRequest): string | undefined {
  const after = headers['last-event-id']
  return typeof after === 'string' ? after : undefined
}
