import { describeValue, messageOf, type PodRef, PodwireError, podKey } from '@podwire/api'

// One function for each thing that can go wrong with an executable.

/** A call and how it went. */
interface Outcome {
  readonly plugin: string
  readonly executable: string
  readonly command: string
  readonly pod?: PodRef | undefined
  readonly durationMs: number
  readonly output: string
}

export function badPermissions({ executable }: { executable: string }) {
  return new PodwireError({
    code: 'EXEC_BAD_PERMISSIONS',
    message: `Invalid exec plugin. Executable '${executable}' does not have correct permissions. Make it executable: chmod +x '${executable}'`,
    details: { executable },
  })
}

export function missingExecutable({ executable }: { executable: string }) {
  return new PodwireError({
    code: 'EXEC_MISSING',
    message: `Invalid exec plugin. There is no executable file '${executable}': it must be called as its directory's last part.`,
    details: { executable },
  })
}

export function notInitialised({ plugin }: { plugin: string }) {
  return new PodwireError({
    code: 'EXEC_NOT_INITIALISED',
    message: `Exec plugin "${plugin}" has not been initialised: call its init, and see that it succeeds.`,
    details: { plugin },
  })
}

export function executableFailed({
  how,
  cause,
  ...outcome
}: Outcome & {
  /** `exit code 3`, `ended by SIGKILL`, `it did not start (…)` */
  how: string
  cause: unknown
}) {
  return new PodwireError({
    code: 'EXEC_FAILED',
    message: `${describeCall(outcome)}: ${how} after ${Math.round(outcome.durationMs)} ms${lastWords(outcome.output)}`,
    details: { ...detailsOf(outcome), how },
    cause,
  })
}

export function executableStopped({ reason, ...outcome }: Outcome & { reason: unknown }) {
  return new PodwireError({
    code: 'EXEC_STOPPED',
    message: `${describeCall(outcome)}: stopped after ${Math.round(outcome.durationMs)} ms (${messageOf(reason)})${lastWords(outcome.output)}`,
    details: detailsOf(outcome),
    cause: reason,
  })
}

export function badStatus({
  plugin,
  executable,
  pod,
  problem,
  printed,
}: {
  plugin: string
  executable: string
  pod: PodRef
  problem: string
  printed: string
}) {
  return new PodwireError({
    code: 'EXEC_BAD_STATUS',
    message: `Exec plugin "${plugin}": status of pod ${podKey(pod)} can't be read: ${problem}. ${executable} printed ${describeValue(printed)}`,
    details: { plugin, executable, pod, problem },
  })
}

function describeCall({ plugin, executable, command, pod }: Outcome): string {
  return `Exec plugin "${plugin}": ${executable} ${command}${pod ? ` for pod ${podKey(pod)}` : ''}`
}

function detailsOf({ plugin, executable, command, pod, durationMs, output }: Outcome) {
  return { plugin, executable, command, pod, durationMs, output }
}

// The last line of what a script printed is most often why it failed.
function lastWords(output: string): string {
  const line = output.trimEnd().split('\n').at(-1)?.trim() ?? ''
  return line ? `: ${line.slice(-300)}` : ', with no output'
}
