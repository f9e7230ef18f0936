import { outputDrained, print, takeStdout } from './output.ts'
import { assertNothingUncaught, guardProcess } from './process-guard.ts'
import { reportError } from './report-error.ts'
import { listenToSignals } from './signals.ts'
import { version } from './version.ts'

/**
 * Runs the command line.
 * @param argv as `process.argv`
 * @returns the exit code: 0 done, 1 failed, 2 used or configured wrongly, or that of the command that was run. Whatever a
 *   plugin left running by then is nobody's work any more: exit with it at once.
 */
export async function main(argv: readonly string[]): Promise<number> {
  listenToSignals()
  const giveStdoutBack = takeStdout()
  const letGo = guardProcess()
  try {
    return await reporting(argv, async () => {
      const exitCode = await run(argv)
      assertNothingUncaught()
      await outputDrained()
      return exitCode
    })
  } finally {
    letGo()
    giveStdoutBack()
  }
}

async function run(argv: readonly string[]): Promise<number> {
  // The whole of commander to print one line would take longer than Node's own start.
  if (argv.length === 3 && (argv[2] === '--version' || argv[2] === '-V')) {
    print(version())
    return 0
  }
  const { runProgram } = await import('./program.ts')
  return runProgram(argv)
}

async function reporting(argv: readonly string[], work: () => Promise<number>): Promise<number> {
  try {
    return await work()
  } catch (error) {
    const exitCode = reportError(error, argv)
    // What can't be printed can't be told either.
    await outputDrained().catch(() => {})
    return exitCode
  }
}
