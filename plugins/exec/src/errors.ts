import { describeValue, type PodRef, PodwireError, podKey } from '@podwire/api'

// One function for each thing that can go wrong with an executable.

export function badPermissions({ executable }: { executable: string }) {
  return new PodwireError({
    code: 'EXEC_BAD_PERMISSIONS',
    message: `Invalid exec plugin. Executable '${executable}' does not have correct permissions. Make it executable: chmod +x ${executable}`,
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
    message: `Exec plugin "${plugin}" was called before its init.`,
    details: { plugin },
  })
}

export function executableFailed({
  executable,
  command,
  pod,
  how,
  durationMs,
  output,
  cause,
}: {
  executable: string
  command: string
  pod: PodRef | undefined
  /** `exit code 3`, `signal SIGKILL`, `not started` */
  how: string
  durationMs: number
  output: string
  cause: unknown
}) {
  const whom = pod ? ` for pod ${podKey(pod)}` : ''
  return new PodwireError({
    code: 'EXEC_FAILED',
    message: `${executable} ${command}${whom}: ${how} after ${Math.round(durationMs)} ms${lastWords(output)}`,
    details: { executable, command, pod, how, durationMs, output },
    cause,
  })
}

export function badStatus({
  executable,
  pod,
  problem,
  output,
}: {
  executable: string
  pod: PodRef
  problem: string
  output: string
}) {
  return new PodwireError({
    code: 'EXEC_BAD_STATUS',
    message: `${executable} status for pod ${podKey(pod)}: ${problem}. It printed ${describeValue(output)}`,
    details: { executable, pod, problem },
  })
}

// The last line of what a script printed is most often why it failed.
function lastWords(output: string): string {
  const line = output.trimEnd().split('\n').at(-1)?.trim() ?? ''
  return line ? `: ${line.slice(-300)}` : ', with no output'
}
