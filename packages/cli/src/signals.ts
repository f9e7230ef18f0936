import { setMaxListeners } from 'node:events'
import { errors } from './errors.ts'

// Signals are heard from the first line to the last: the handlers stay for the life of the process, and what a signal
// does changes with what is going on. By default it aborts `interrupted`, so that what was begun is undone; while a
// command runs, the command gets it.

/** Those that ask a process to end. */
const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** Those that a command gets besides. */
const others = ['SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

const controller = new AbortController()
// All pods that go together listen to it.
setMaxListeners(0, controller.signal)
let receiver: ((signal: NodeJS.Signals) => void) | undefined

/** Aborts when this process is asked to end, or can't go on; give it to whatever can be undone. */
export const interrupted: AbortSignal = controller.signal

/** To be called before anything is begun; until then a signal ends the process. */
export function listenToSignals(): void {
  for (const name of endings) {
    process.on(name, () => (receiver ? receiver(name) : interrupt(errors.INTERRUPTED({ signal: name }))))
  }
}

/** Aborts {@link interrupted}; the first reason stays. */
export function interrupt(reason: Error): void {
  controller.abort(reason)
}

/** Waits for what only looks, and can be left alone: a signal ends the waiting. */
export async function unlessInterrupted<T>(looking: Promise<T>): Promise<T> {
  let abort = () => {}
  const abandoned = new Promise<never>((_resolve, reject) => {
    abort = () => reject(interrupted.reason)
  })
  interrupted.addEventListener('abort', abort)
  if (interrupted.aborted) abort()
  try {
    return await Promise.race([looking, abandoned])
  } finally {
    interrupted.removeEventListener('abort', abort)
  }
}

/** Gives the signals that come from now on to `receive`, until the function returned is called. */
export function passSignalsTo(receive: (signal: NodeJS.Signals) => void): () => void {
  const pass = (name: NodeJS.Signals) => receive(name)
  receiver = receive
  for (const name of others) process.on(name, pass)
  return () => {
    receiver = undefined
    for (const name of others) process.off(name, pass)
  }
}
