import type { Logger } from '@podwire/api'
import type { Operations } from './operations.ts'

interface StopParts {
  readonly operations: Operations
  readonly log: Logger
  /** What comes first. */
  readonly begin: () => void
  /** Called when nothing runs any more. @param patienceMs for clients to read their answers */
  readonly closeServer: (patienceMs: number) => Promise<void>
  readonly closeHost: () => Promise<void>
}

/** For what runs to come to its end. Milliseconds. */
const endMs = 30_000
/** For operations to undo what they did, once they are aborted. Milliseconds. */
const undoMs = 10_000
/** For answers to be read, once everything has been done. Milliseconds. */
const answerMs = 2_000

/** What ends a daemon in order, once; who asks again has no more patience. */
export function createStop(parts: StopParts): (deadlineMs?: number) => Promise<void> {
  let stopped: Promise<void> | undefined
  return (deadlineMs = endMs) => {
    if (stopped) parts.operations.abortAll()
    stopped ??= stop(parts, deadlineMs)
    return stopped
  }
}

async function stop(parts: StopParts, deadlineMs: number): Promise<void> {
  const { operations, log, begin, closeServer, closeHost } = parts
  operations.stop()
  begin()
  log.info('stopping: no new work is taken')
  if (!(await operations.ended(deadlineMs))) {
    log.warn(`after ${deadlineMs} ms some operations still run; they are aborted, and undo what they did`)
    operations.abortAll()
    if (!(await operations.ended(undoMs)))
      log.error('some operations did not end; the next start undoes them')
  }
  await closeServer(answerMs)
  await closeHost()
  log.info('stopped')
}
