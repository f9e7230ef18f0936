import { type ChildProcess, spawn } from 'node:child_process'
import { isatty } from 'node:tty'
import { errnoOf } from '@podwire/api'
import type { SandboxRecord } from '@podwire/core'
import { errors } from './errors.ts'
import { exitCodeOfSignal, TIMED_OUT } from './exit-code.ts'
import { withNameServers } from './name-servers.ts'
import { interrupted, passSignalsTo } from './signals.ts'

/** How a command is run in a pod. */
export interface RunOptions {
  /** Name servers for it; default: the host's that can be reached from a pod. */
  readonly dns?: readonly string[]
  /** Where small files may be mounted for it. */
  readonly stateDir: string
  /** Milliseconds. */
  readonly timeout?: number | undefined
  /** What it prints goes to stderr. */
  readonly keepStdout?: boolean
}

/** How a command ended. */
export interface Ended {
  /** Its own; 128 and the number of the signal that ended it; 124 after a timeout. */
  readonly exitCode: number
  readonly signal?: NodeJS.Signals
  readonly timedOut: boolean
  readonly runMs: number
}

/** For a command to end itself after SIGTERM. Milliseconds. */
const graceMs = 5_000

/** Runs a command in a pod's network with this process's input and output. It gets the signals that this process gets. */
export async function runCommand(
  command: readonly string[],
  record: SandboxRecord,
  { dns = [], stateDir, timeout, keepStdout = false }: RunOptions,
): Promise<Ended> {
  const { inSandbox } = await import('@podwire/core')
  const [file = '', ...args] = withNameServers(command, dns, stateDir, anyServer(record))
  interrupted.throwIfAborted()

  let child: ChildProcess | undefined
  const early: NodeJS.Signals[] = []
  const release = passSignalsTo((signal) => {
    // A terminal sends its keys' signals to the whole group: the child has them already.
    const fromTerminal = isatty(0) && (signal === 'SIGINT' || signal === 'SIGQUIT')
    if (!child) early.push(signal)
    else if (!fromTerminal) child.kill(signal)
  })
  let timedOut = false
  const timers: NodeJS.Timeout[] = []
  const end = () => {
    child?.kill('SIGTERM')
    timers.push(setTimeout(() => child?.kill('SIGKILL'), graceMs))
  }
  interrupted.addEventListener('abort', end)
  try {
    const started = performance.now()
    const stdio = ['inherit', keepStdout ? 2 : 'inherit', 'inherit'] as const
    child = await inSandbox(record, () => spawn(file, args, { stdio: [...stdio] }))
    const exit = exitOf(child, command[0] ?? '')
    for (const signal of early) child.kill(signal)
    if (timeout !== undefined) {
      timers.push(
        setTimeout(() => {
          timedOut = true
          end()
        }, timeout),
      )
    }
    const { code, signal } = await exit
    const own = signal ? exitCodeOfSignal(signal) : (code ?? 1)
    return {
      exitCode: timedOut ? TIMED_OUT : own,
      ...(signal ? { signal } : {}),
      timedOut,
      runMs: performance.now() - started,
    }
  } finally {
    interrupted.removeEventListener('abort', end)
    for (const timer of timers) clearTimeout(timer)
    release()
  }
}

/**
 * A name server of a pod whose policy has names, or pods, which have names too: whatever it asks goes to the host's own resolver, so
 * that any address beyond the pod's link does.
 */
function anyServer({ pod, status }: SandboxRecord): string | undefined {
  const isAnswered = pod.policy?.egress?.allow?.some(
    ({ host, pod: other }) => host !== undefined || other !== undefined,
  )
  if (!isAnswered) return undefined
  return status?.ip.includes(':') ? '2001:db8::53' : '192.0.2.53'
}

function exitOf(
  child: ChildProcess,
  command: string,
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(notStarted(command, cause)))
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
}

function notStarted(command: string, cause: Error): Error {
  const code = errnoOf(cause)
  if (code === 'ENOENT') return errors.COMMAND_NOT_FOUND({ command }, cause)
  if (code === 'EACCES') return errors.COMMAND_NOT_EXECUTABLE({ command }, cause)
  return errors.COMMAND_NOT_STARTED({ command }, cause)
}
