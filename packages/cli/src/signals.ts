import { constants } from 'node:os'
import { PodwireError } from '@podwire/api'

/** Those that ask a process to end. */
const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Runs `operation` with a signal that aborts when this process is asked to end, so that it can undo what it did. */
export async function abortOnSignals<T>(operation: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const abort = (name: NodeJS.Signals) =>
    controller.abort(
      new PodwireError({ code: 'INTERRUPTED', message: `interrupted by ${name}; what was begun is undone` }),
    )
  for (const name of endings) process.once(name, abort)
  try {
    return await operation(controller.signal)
  } finally {
    for (const name of endings) process.off(name, abort)
  }
}

/** What a shell reports for a process that ended by a signal. */
export function exitCodeOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}
