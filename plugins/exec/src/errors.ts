import { defineErrors, describeValue, messageOf, type PodRef, podKey, printable } from '@podwire/api'

/** A call of an executable, and how it went. */
export interface Outcome {
  readonly plugin: string
  readonly executable: string
  readonly command: string
  readonly pod: PodRef | undefined
  readonly durationMs: number
  /** Both streams, as they may be printed. */
  readonly output: string
}

/** All that can go wrong with an executable. */
export const errors = defineErrors({
  EXEC_BAD_PERMISSIONS: {
    // The kubelet's words come first: tools look for them.
    message: ({ executable }: { executable: string }) =>
      `Invalid exec plugin. Executable '${executable}' does not have correct permissions.`,
    remedy: ({ executable }) => `Make it executable: chmod +x '${executable}'`,
  },
  EXEC_MISSING: {
    message: ({ executable }: { executable: string }) =>
      `Invalid exec plugin. There is no executable file '${executable}'.`,
    remedy: 'Put it there: it is called like the last part of its directory.',
  },
  EXEC_NOT_INITIALISED: {
    message: ({ plugin }: { plugin: string }) => `Exec plugin "${plugin}" has not been initialised`,
    remedy: 'Call init first, and check that it succeeds.',
  },
  EXEC_FAILED: {
    message: ({ how, ...outcome }: Outcome & { /** `exit code 3`, `ended by SIGKILL` */ how: string }) =>
      `${call(outcome)}: ${how} after ${Math.round(outcome.durationMs)} ms${lastLine(outcome)}`,
  },
  EXEC_STOPPED: {
    message: (outcome: Outcome, cause: unknown) =>
      `${call(outcome)}: stopped after ${Math.round(outcome.durationMs)} ms (${messageOf(cause)})${lastLine(outcome)}`,
  },
  EXEC_BAD_STATUS: {
    message: (about: { plugin: string; executable: string; pod: PodRef; problem: string; printed: string }) =>
      `Exec plugin "${about.plugin}": ${about.executable} printed a status of pod ${podKey(about.pod)} that can't be read: ${printable(about.problem)}. It printed ${describeValue(about.printed)}`,
  },
})

function call({ plugin, executable, command, pod }: Outcome): string {
  return `Exec plugin "${plugin}": ${executable} ${command}${pod ? ` for pod ${podKey(pod)}` : ''}`
}

// What a script printed last is most often why it failed.
function lastLine({ output }: Outcome): string {
  const line = output.trimEnd().split('\n').at(-1)?.trim() ?? ''
  return line ? `: ${line.slice(-300)}` : ', with no output'
}
