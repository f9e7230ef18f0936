import type { PodRef } from '@podwire/api'
import { boundedOutput } from './bounded-output.ts'
import { executableFailed } from './errors.ts'

/** After SIGTERM, how long a process group may take to end by itself. Milliseconds. */
const killAfterMs = 1_000

/** After its process ended, how long output that a grandchild holds open is waited for. Milliseconds. */
const drainMs = 200

/** One call of a plugin's executable. */
export interface ExecCall {
  readonly executable: string
  /** `init`, `setup`, `teardown`, `status` */
  readonly command: string
  readonly pod?: PodRef
  readonly env: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/**
 * Runs the executable in a process group of its own and returns its combined output. When the signal aborts, the whole
 * group is ended, grandchildren too.
 * @throws PodwireError `EXEC_FAILED` for an exit code that is not 0, a signal, or a start that failed
 */
export async function runExecutable({ executable, command, pod, env, signal }: ExecCall): Promise<string> {
  const started = performance.now()
  const output = boundedOutput()
  // Its import takes 100 ms, which a host that never gets here need not pay.
  const { execa } = await import('execa')
  signal?.throwIfAborted()
  const args = [command, ...(pod ? [pod.namespace, pod.name, pod.sandboxId] : [])]
  const child = execa(executable, args, {
    env,
    stdin: 'ignore',
    all: true,
    buffer: false,
    encoding: 'buffer',
    detached: true,
    cleanup: false,
    reject: false,
  })
  child.all.on('data', (chunk: Buffer) => output.push(chunk))
  const endGroup = groupKiller(child.pid)
  signal?.addEventListener('abort', endGroup.now, { once: true })
  // Output may stay open after the end: a daemon that the script started keeps it.
  child.once('exit', () => setTimeout(() => child.all.destroy(), drainMs).unref())

  try {
    const result = await child
    if (signal?.aborted) {
      endGroup.forGood()
      throw signal.reason
    }
    if (result.exitCode === 0) return output.text()
    throw executableFailed({
      executable,
      command,
      pod,
      how: howItEnded(result),
      durationMs: performance.now() - started,
      output: output.text(),
      cause: result.cause,
    })
  } finally {
    signal?.removeEventListener('abort', endGroup.now)
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

/** Ends a process group: politely, then for good. */
function groupKiller(pid: number | undefined) {
  const kill = (signal: NodeJS.Signals) => {
    try {
      if (pid !== undefined) process.kill(-pid, signal)
    } catch {
      // All of it ended before.
    }
  }
  const forGood = () => kill('SIGKILL')
  const now = () => {
    kill('SIGTERM')
    setTimeout(forGood, killAfterMs)
  }
  return { now, forGood }
}
