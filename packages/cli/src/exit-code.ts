import { constants } from 'node:os'
import { isPodwireError } from '@podwire/api'

/** What a shell reports for a process that ended by a signal. */
export function exitCodeOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/** What `timeout` reports for a command that it ended. */
export const TIMED_OUT = 124

// What a shell reports for a command that it can't start.
const ofCommands: Readonly<Record<string, number>> = { COMMAND_NOT_FOUND: 127, COMMAND_NOT_EXECUTABLE: 126 }

/** What the process exits with after these errors: 2 when it was used or configured wrongly, else 1, or as a shell does. */
export function exitCodeOf(errors: readonly unknown[]): number {
  const [first] = errors
  if (errors.length === 1 && isPodwireError(first)) {
    // Its details hold the signal's name: the table of errors says so.
    if (first.code === 'INTERRUPTED') return exitCodeOfSignal(first.details['signal'] as NodeJS.Signals)
    return ofCommands[first.code] ?? first.exitCode
  }
  return errors.every((error) => isPodwireError(error) && error.exitCode === 2) ? 2 : 1
}
