import { messageOf } from '@podwire/api'
import type { NetworkHost } from '@podwire/core'
import type { FastifyInstance } from 'fastify'
import { errors } from '../../errors.ts'
import type { Operations } from '../../operations.ts'

/** What a supervisor, a scraper and a developer ask for. */
export interface Probed {
  readonly host: NetworkHost
  readonly operations: Operations
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  readonly document: unknown
}

export function addProbes(app: FastifyInstance, { host, operations, metrics, document }: Probed): void {
  app.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok\n'))
  app.get('/readyz', async (_request, reply) => {
    const reason = await notReady(host, operations)
    return reply
      .type('text/plain')
      .code(reason === undefined ? 200 : 503)
      .send(`${reason ?? 'ready'}\n`)
  })
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()))
  app.get('/openapi.json', async () => document)
}

async function notReady(host: NetworkHost, { stopping }: Operations): Promise<string | undefined> {
  if (stopping) return errors.DAEMON_STOPPING().message
  try {
    const readiness = await host.status()
    return readiness.ready ? undefined : readiness.reason
  } catch (error) {
    return messageOf(error)
  }
}
