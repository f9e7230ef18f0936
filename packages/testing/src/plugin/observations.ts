import { messageOf } from '@podwire/api'

/** What a plugin did that no host can do with, whatever it was asked: what, and during which call. */
export interface Observations {
  readonly stdout: readonly string[]
  readonly exits: readonly string[]
  readonly uncaught: readonly string[]
  readonly notErrors: readonly string[]
}

/** Watches this process. */
export interface Watch {
  readonly observations: { readonly [Kind in keyof Observations]: string[] }
  /** What is being done now. */
  doing: string
}

class EndedByPlugin extends Error {}

/** Takes from everything in this process the means to end it and to write to its stdout, and notes who tries. */
export function watchProcess(): Watch {
  const watch: Watch = {
    observations: { stdout: [], exits: [], uncaught: [], notErrors: [] },
    doing: 'import',
  }
  const { stdout, exits, uncaught } = watch.observations
  const refuse = (name: string) => (code?: unknown) => {
    const call = `process.${name}(${code ?? ''})`
    exits.push(`${watch.doing}: ${call}`)
    throw new EndedByPlugin(`${call} was called`)
  }
  process.exit = refuse('exit')
  process.abort = refuse('abort')
  // A stream's write is overloaded; this is what every form of it comes down to.
  process.stdout.write = ((chunk: unknown, ...more: unknown[]) => {
    stdout.push(`${watch.doing}: ${JSON.stringify(String(chunk).slice(0, 200))}`)
    const done = more.find((one) => typeof one === 'function')
    if (done) process.nextTick(done)
    return true
  }) as typeof process.stdout.write
  const note = (thrown: unknown) => {
    if (!(thrown instanceof EndedByPlugin)) uncaught.push(`${watch.doing}: ${messageOf(thrown)}`)
  }
  process.on('uncaughtException', note)
  process.on('unhandledRejection', note)
  return watch
}
