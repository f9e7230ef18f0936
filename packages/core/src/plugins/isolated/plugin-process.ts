import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { describeValue, type Host, type Logger, messageOf } from '@podwire/api'
import { errors } from '../../errors.ts'
import { graceMs } from '../plugin-manager.ts'
import { createAllowance } from './allowance.ts'
import { answerPlugin, createTopicHandlers } from './answer-plugin.ts'
import { heapMiB, nodeCommand } from './node.ts'
import { logOutput } from './output.ts'
import { createPeer } from './peer.ts'

/** The process of a plugin package. */
export interface PluginProcess {
  /**
   * Rejects as the plugin does, or with `PLUGIN_CRASHED`. The process is killed where the call goes on past its limit, or
   * doesn't end after its signal.
   */
  call(method: string, args: readonly unknown[], options?: ProcessCallOptions): Promise<unknown>
  /** Called when the process has ended and nobody asked for it, before its calls are rejected; at once where it has. */
  onCrash(listener: (why: Error) => void): void
  /** Lets it end. */
  stop(): Promise<void>
  kill(why: string): void
}

export interface ProcessCallOptions {
  readonly signal?: AbortSignal | undefined
  /** Of a call that has no signal. Milliseconds. */
  readonly limitMs?: number
}

export interface PluginProcessOptions {
  /** For the log and for errors: the name of the plugin, or of its package before that is known. */
  name(): string
  readonly log: Logger
  /** Answers what the plugin asks. */
  host(): Host | undefined
  /** What a plugin can do now. */
  onCapabilities(plugin: string, capabilities: unknown): void
}

/** Calls and tellings that a plugin may send in a second before the rest waits; answers don't count. */
const tellingsPerSecond = 1000

/** Before whoever called gives up, so that the process is gone when another operation on the pod may begin. Milliseconds. */
const patienceMs = graceMs * 0.9

/** How long a process that was asked to may take to end. Milliseconds. */
const stopMs = 2_000

/** How long a process may take to end once it has closed the connection. Milliseconds. */
const closedMs = 500

export function startPluginProcess({ name, log, host, onCapabilities }: PluginProcessOptions): PluginProcess {
  const { args, env } = nodeCommand()
  const child = spawn(process.execPath, args, {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C is the host's to hear, and what the plugin started is killed with it.
    detached: true,
  })
  if (!child.stdio) {
    child.once('error', () => {})
    throw errors.PLUGIN_CRASHED({
      plugin: name(),
      pid: child.pid,
      how: 'there are no file descriptors left for it',
    })
  }
  // Node makes a socket of every pipe.
  const [, stdout, stderr, channel] = child.stdio as unknown as [null, Socket, Socket, Socket]
  const pid = child.pid
  const allowance = createAllowance(channel, tellingsPerSecond)
  const releases = [
    logOutput(stdout, 'info', { name, log }),
    logOutput(stderr, 'warn', { name, log }),
    allowance.end,
  ]
  let why: string | undefined
  let isStopping = false
  let hasEnded = false
  let crash: Error | undefined
  let onCrash: ((why: Error) => void) | undefined

  const kill = (reason: string) => {
    if (hasEnded) return
    why ??= reason
    killGroup(pid)
  }
  const peer = createPeer(channel, {
    handle: (method, given) => answerPlugin(host(), method, given),
    told: (topic, details) => {
      if (!hear(topic, details)) kill(`it told of ${describeValue(topic)}, which can't be read`)
    },
    broken: (problem) => {
      kill(problem)
      channel.destroy()
    },
    charge: () => allowance.spend(1),
  })
  const hear = createTopicHandlers({ host, log, onCapabilities })

  const ended = new Promise<void>((resolve) => {
    let how: string | undefined
    const end = () => {
      // What was said before the end counts. A channel that is destroyed tells of its close a turn later: that is no other end.
      if (how === undefined || !channel.destroyed || crash) return
      crash = errors.PLUGIN_CRASHED({ plugin: name(), pid, how })
      if (!isStopping) onCrash?.(crash)
      peer.end(crash)
      resolve()
    }
    const endBy = (text: string) => {
      how ??= text
      hasEnded = true
      if (!isStopping) killGroup(pid)
      for (const release of releases) release()
      if (channel.destroyed) end()
    }
    child.once('exit', (code, signal) => endBy(describeEnd(why, code, signal)))
    child.once('error', (error) => {
      endBy(`it could not be started: ${messageOf(error)}`)
      channel.destroy()
    })
    channel.once('close', () => {
      // As every process does that ends.
      setTimeout(kill, closedMs, 'it closed the connection to its host').unref()
      end()
    })
  })

  // A plugin at rest keeps nobody up; the timers of its calls do.
  child.unref()
  for (const socket of [stdout, stderr, channel]) socket.unref()

  return {
    kill,
    async call(method, given, { signal, limitMs } = {}) {
      const timers: NodeJS.Timeout[] = []
      const killAfter = (ms: number, reason: string) => timers.push(setTimeout(kill, ms, reason))
      const onAbort = () => killAfter(patienceMs, `its ${method} went on after it was aborted`)
      if (limitMs !== undefined) killAfter(limitMs, `its ${method} was not done within ${limitMs} ms`)
      signal?.addEventListener('abort', onAbort, { once: true })
      try {
        return await peer.call(method, given, signal)
      } finally {
        for (const timer of timers) clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
    },
    onCrash(listener) {
      onCrash = listener
      if (crash) listener(crash)
    },
    async stop() {
      isStopping = true
      const timer = setTimeout(kill, stopMs, 'it did not end when it was asked to')
      channel.end()
      await ended
      clearTimeout(timer)
    },
  }
}

/** The process, and what it started and left in its group. */
function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // All of it has ended.
  }
}

function describeEnd(why: string | undefined, code: number | null, signal: NodeJS.Signals | null): string {
  if (why !== undefined && signal !== null) return `it was killed: ${why}`
  if (signal === 'SIGABRT' || signal === 'SIGTRAP')
    return `it ended by ${signal}, as Node does that has used up its ${heapMiB} MiB, or all that it may reserve`
  return signal === null ? `it ended with exit code ${code}` : `it ended by ${signal}`
}
