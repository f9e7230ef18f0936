import { version } from './version.ts'

/**
 * Runs the command line.
 * @param argv as `process.argv`
 * @returns the exit code: 0 done, 1 failed, 2 used or configured wrongly, or that of the command that was run. Whatever a
 *   plugin left running by then is nobody's work any more: exit with it at once.
 */
export async function main(argv: readonly string[]): Promise<number> {
  // The whole of commander to print one line would take longer than Node's own start.
  if (argv.length === 3 && (argv[2] === '--version' || argv[2] === '-V')) {
    console.log(version())
    return 0
  }
  const { run } = await import('./program.ts')
  return run(argv)
}
