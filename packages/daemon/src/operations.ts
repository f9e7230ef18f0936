import { setMaxListeners } from 'node:events'
import { errors } from './errors.ts'

/** An operation that runs, seen from its client. */
interface Client {
  /** By which its client may abort it; none, where it can't. */
  readonly id?: string | undefined
  /** Calls back when the client is gone before it has its answer. */
  onGone(callback: () => void): void
}

/** What runs in a daemon now: each may be aborted, and a daemon that stops waits for all. */
export interface Operations {
  /** @throws PodwireError `DAEMON_STOPPING`; what `run` throws */
  run<T>(client: Client, run: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** @throws PodwireError `UNKNOWN_OPERATION` */
  abort(id: string): void
  /** Takes no new ones from now on. */
  stop(): void
  readonly stopping: boolean
  /** Resolves with true when none runs any more, with false when some still do after that time. */
  ended(ms: number): Promise<boolean>
  abortAll(): void
}

export function createOperations(): Operations {
  const running = new Set<AbortController>()
  const byId = new Map<string, AbortController>()
  let stopping = false
  let onEnded = () => {}

  return {
    run: async ({ id, onGone }, run) => {
      if (stopping) throw errors.DAEMON_STOPPING()
      const controller = new AbortController()
      // All pods of a prune listen to it.
      setMaxListeners(0, controller.signal)
      running.add(controller)
      if (id !== undefined) byId.set(id, controller)
      onGone(() => controller.abort(errors.OPERATION_ABORTED({ why: 'gone' })))
      try {
        return await run(controller.signal)
      } finally {
        running.delete(controller)
        if (id !== undefined && byId.get(id) === controller) byId.delete(id)
        if (running.size === 0) onEnded()
      }
    },
    abort: (id) => {
      const controller = byId.get(id)
      if (!controller) throw errors.UNKNOWN_OPERATION({ id })
      controller.abort(errors.OPERATION_ABORTED({ why: 'asked' }))
    },
    stop: () => {
      stopping = true
    },
    get stopping() {
      return stopping
    },
    ended: (ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => resolve(running.size === 0), ms)
        onEnded = () => {
          clearTimeout(timer)
          resolve(true)
        }
        if (running.size === 0) onEnded()
      }),
    abortAll: () => {
      for (const controller of running) controller.abort(errors.DAEMON_STOPPING())
    },
  }
}
