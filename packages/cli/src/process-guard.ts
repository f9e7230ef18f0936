import type { currentOperation } from '@podwire/core'
import { errors } from './errors.ts'
import { interrupt } from './signals.ts'

// Plugins and configurations run in this process. None of them may end it in the middle of its work, least of all with
// the exit code of success.

let operationOf: typeof currentOperation = () => undefined
let uncaught: Error | undefined

/** Tells the guard how to find out which plugin is running; the core knows, and isn't loaded at the start. */
export function knowOperations(current: typeof currentOperation): void {
  operationOf = current
}

/** Makes `process.exit` an error, and hears of errors that nobody catches. Returns what undoes it. */
export function guardProcess(): () => void {
  const { exit } = process
  process.exit = (code) => {
    throw errors.PROCESS_EXIT({ by: running(), code })
  }
  // The operation that goes on is aborted, and undoes what it did.
  const onUncaught = (error: unknown) => {
    uncaught ??= errors.UNCAUGHT({ by: running() }, error)
    interrupt(uncaught)
  }
  process.on('uncaughtException', onUncaught)
  return () => {
    process.exit = exit
    process.off('uncaughtException', onUncaught)
  }
}

/** @throws what nobody caught: a command that seems to have worked out has failed then */
export function assertNothingUncaught(): void {
  if (uncaught) throw uncaught
}

function running(): string | undefined {
  const operation = operationOf()
  return operation && `network plugin "${operation.plugin}" (${operation.operation})`
}
