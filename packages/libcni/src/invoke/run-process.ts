import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '@podwire/api'
import type { ProcessEnd } from './running-process.ts'
import { startProcess } from './start-process.ts'

export interface ProcessOutcome extends ProcessEnd {
  readonly stdout: Buffer
  /** The last 64 KiB. */
  readonly stderr: Buffer
  /** More than {@link maxStdout} came; the process was killed. */
  readonly overflowed: boolean
}

/** Bytes of stdout that a plugin may print. */
export const maxStdout = 16 * 1024 * 1024
const maxStderr = 64 * 1024

// What a child of the plugin that keeps its stdout open may still say after the plugin is gone.
const lingerMs = 200

const busyRetryMs = 100
const busyGiveUpMs = 5000

/**
 * Runs a program with `stdin` as its input and waits for its end. An abort kills its whole process group. A binary that
 * is just being written (ETXTBSY) is tried again for five seconds.
 * @throws the system's error where it can't be started; the signal's reason where it was aborted before it ran
 */
export async function runProcess(
  path: string,
  stdin: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<ProcessOutcome> {
  const giveUp = Date.now() + busyGiveUpMs
  for (;;) {
    signal.throwIfAborted()
    try {
      return await runOnce(path, stdin, env, signal)
    } catch (error) {
      if (errnoOf(error) !== 'ETXTBSY' || Date.now() >= giveUp) throw error
    }
    await sleep(busyRetryMs, undefined, { signal })
  }
}

async function runOnce(
  path: string,
  stdin: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<ProcessOutcome> {
  const { pid, stdin: input, stdout, stderr, ended } = await startProcess(path, stdin, env)
  const output = collect(stdout, maxStdout, () => killGroup(pid))
  const errors = collectTail(stderr, maxStderr)
  const abort = () => killGroup(pid)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    const closed = Promise.all([stdout, stderr].map(closeOf))
    const end = await ended
    await atMost(lingerMs, closed)
    return { ...end, stdout: output.bytes(), overflowed: output.overflowed(), stderr: errors() }
  } finally {
    signal.removeEventListener('abort', abort)
    for (const stream of [input, stdout, stderr]) stream.destroy()
  }
}

const closeOf = (stream: Readable) =>
  new Promise<void>((resolve) => {
    stream.on('error', () => {}).once('close', resolve)
  })

const atMost = (ms: number, work: Promise<unknown>) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    void work.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })

// The group is named by the process that leads it, and lives on in the children that a plugin leaves behind.
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // All of them are gone.
  }
}

function collect(stream: NodeJS.ReadableStream, limit: number, onOverflow: () => void) {
  const chunks: Buffer[] = []
  let size = 0
  stream.on('data', (chunk: Buffer) => {
    const before = size
    size += chunk.length
    if (size <= limit) chunks.push(chunk)
    else if (before <= limit) onOverflow()
  })
  return { bytes: () => Buffer.concat(chunks), overflowed: () => size > limit }
}

function collectTail(stream: NodeJS.ReadableStream, limit: number) {
  let tail = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-limit)
  })
  return () => tail
}
