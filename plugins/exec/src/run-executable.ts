import { type PodRef, printable } from '@podwire/api'
import { boundedOutput } from './bounded-output.ts'
import type { Variables } from './environment.ts'
import { errors } from './errors.ts'
import { endProcessGroup, trackProcessGroup } from './process-group.ts'

/** After its process ended, how long output that a grandchild holds open is waited for. Milliseconds. */
const drainMs = 500

/** One call of a plugin's executable. */
export interface ExecCall {
  readonly plugin: string
  readonly executable: string
  /** `init`, `setup`, `teardown`, `status` */
  readonly command: string
  readonly pod?: PodRef | undefined
  readonly env: Variables
  /** Given to it on stdin; without, that is empty. */
  readonly input?: string | undefined
  readonly signal: AbortSignal
}

/** What an executable printed, each with its middle left out when it is long. */
export interface ExecOutput {
  readonly stdout: string
  /** stdout and stderr together, as they may be printed. */
  readonly combined: string
}

/**
 * Runs the executable in a process group of its own. When it fails or the signal aborts, the whole group is ended,
 * grandchildren too. A daemon that it leaves behind when it succeeds stays.
 * @throws PodwireError `EXEC_FAILED` for an exit code that is not 0, a signal, or a start that failed;
 * `EXEC_STOPPED` when the signal aborted, with its reason as the cause
 */
export async function runExecutable(call: ExecCall): Promise<ExecOutput> {
  const { plugin, executable, command, pod, env, input, signal } = call
  const started = performance.now()
  // Its import takes 100 ms, which a host that never gets here need not pay.
  const { execa } = await import('execa')
  signal.throwIfAborted()

  const [stdout, combined] = [boundedOutput(), boundedOutput()]
  const args = [command, ...(pod ? [pod.namespace, pod.name, pod.sandboxId] : [])]
  const child = execa(executable, args, {
    env,
    ...(input === undefined ? { stdin: 'ignore' } : { input }),
    buffer: false,
    encoding: 'buffer',
    detached: true,
    reject: false,
  })
  child.stdout.on('data', stdout.push).on('data', combined.push)
  child.stderr.on('data', combined.push)
  const stopReading = () => {
    for (const pipe of [child.stdout, child.stderr]) pipe.destroy()
  }
  // On a busy machine the time may be over before what was printed has been read: setImmediate comes after that.
  child.once('exit', () => setTimeout(() => setImmediate(stopReading), drainMs))

  const { pid } = child
  const forget = pid === undefined ? undefined : trackProcessGroup(pid)
  const end = async () => pid !== undefined && endProcessGroup(pid)
  let ending: Promise<unknown> | undefined
  const onAbort = () => {
    ending = end()
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const result = await child
    const output = printable(combined.text())
    const durationMs = () => performance.now() - started
    const outcome = () => ({ plugin, executable, command, pod, durationMs: durationMs(), output })
    if (ending) {
      await ending
      throw errors.EXEC_STOPPED(outcome(), signal.reason)
    }
    if (result.exitCode === 0) return { stdout: stdout.text(), combined: output }
    await end()
    throw errors.EXEC_FAILED({ ...outcome(), how: howItEnded(result) }, result.cause)
  } finally {
    signal.removeEventListener('abort', onAbort)
    forget?.()
  }
}

function howItEnded({
  exitCode,
  signal,
  originalMessage,
}: {
  exitCode?: number | undefined
  signal?: string | undefined
  originalMessage?: string | undefined
}) {
  if (exitCode !== undefined) return `exit code ${exitCode}`
  return signal ? `ended by ${signal}` : `it did not start (${originalMessage ?? 'unknown reason'})`
}
