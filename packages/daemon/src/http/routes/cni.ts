import { type Logger, messageOf } from '@podwire/api'
import type { FastifyInstance } from 'fastify'
import { callContentType, largestBody } from '../../cni/call-body.ts'
import type { CniDoor } from '../../cni/door.ts'
import { errors } from '../../errors.ts'
import type { Operations } from '../../operations.ts'
import { fail, onClientGone } from '../server.ts'

/** Adds `/v1/cni`, which container runtimes' calls come to. */
export function addCniDoor(app: FastifyInstance, door: CniDoor, operations: Operations, log: Logger): void {
  app.addContentTypeParser(
    callContentType,
    { parseAs: 'buffer', bodyLimit: largestBody },
    (_request, body, done) => done(null, body),
  )
  app.post('/v1/cni', { bodyLimit: largestBody }, async (request, reply) => {
    const { body } = request
    if (!Buffer.isBuffer(body))
      return fail(reply, errors.INVALID_REQUEST({ problems: [`expected a body of type ${callContentType}`] }))
    let isGone = false
    let undo: (() => Promise<void>) | undefined
    const undoNow = () =>
      undo?.().catch((error: unknown) =>
        log.error(`an ADD that nobody waited for could not be undone: ${messageOf(error)}`),
      )
    let abort = () => {}
    onClientGone(request, reply, () => {
      isGone = true
      abort()
      void undoNow()
    })
    const onGone = (callback: () => void) => {
      abort = callback
      if (isGone) abort()
    }
    const answer = await operations.run({ onGone }, (signal) => door.answer(body, signal))
    undo = answer.undo
    if (isGone) await undoNow()
    if (undo && request.headers.connection === 'close') {
      // Kept open until the caller, which asks nothing else by it, closes it: the kernel says then whether all was read.
      reply.raw.shouldKeepAlive = true
      request.raw.socket.once('error', () => void undoNow())
    }
    return reply
      .code(answer.exitCode === 0 ? 200 : 422)
      .type('application/json')
      .send(answer.stdout)
  })
}
