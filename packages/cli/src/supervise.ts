import { outputDrained, takeStdout } from './output.ts'
import { assertNothingUncaught, guardProcess } from './process-guard.ts'
import { reportError } from './report-error.ts'
import { listenToSignals } from './signals.ts'

/**
 * Runs a command from its first line to its last: it hears signals, nobody else prints to its stdout or ends its process,
 * what it prints is out before it is done, and what it throws is reported.
 * @param work resolves with the exit code
 * @returns the exit code
 */
export async function supervise(argv: readonly string[], work: () => Promise<number>): Promise<number> {
  listenToSignals()
  const giveStdoutBack = takeStdout()
  const letGo = guardProcess()
  try {
    const exitCode = await work()
    assertNothingUncaught()
    await outputDrained()
    return exitCode
  } catch (error) {
    const exitCode = reportError(error, argv)
    // What can't be printed can't be told either.
    await outputDrained().catch(() => {})
    return exitCode
  } finally {
    letGo()
    giveStdoutBack()
  }
}
