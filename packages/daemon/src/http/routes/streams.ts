import type { FastifyInstance } from 'fastify'
import { errors } from '../../errors.ts'
import type { EventLog } from '../../events/event-log.ts'
import { sendEvents } from '../../events/send-events.ts'
import { eventsQuery } from '../schemas.ts'
import { fail } from '../server.ts'

/** Adds `/v1/events`. Returns what ends all streams. */
export function addEventStreams(app: FastifyInstance, log: EventLog, most: number): { endAll(): void } {
  const ends = new Set<() => void>()
  app.get('/v1/events', (request, reply) => {
    const query = eventsQuery.safeParse(request.query)
    if (!query.success) {
      const problems = query.error.issues.map(({ path, message }) => `query.${path.join('.')}: ${message}`)
      return fail(reply, errors.INVALID_REQUEST({ problems }))
    }
    if (ends.size >= most) return fail(reply, errors.TOO_MANY_STREAMS({ most }))
    const after = request.headers['last-event-id']
    const { raw } = reply.hijack()
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    const stop = sendEvents(log, raw, {
      after: typeof after === 'string' ? after : undefined,
      fromStart: query.data.from === 'start',
      untilNow: query.data.until === 'now',
    })
    const end = () => {
      stop()
      raw.end()
    }
    ends.add(end)
    raw.on('close', () => ends.delete(end))
    return reply
  })
  return {
    endAll: () => {
      for (const end of ends) end()
    },
  }
}
