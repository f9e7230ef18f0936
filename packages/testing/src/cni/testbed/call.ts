import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { isObject, type JsonObject, tryParse } from '../../kernel-state/json.ts'
import type { Testbed } from './testbed.ts'

/** How to call a plugin. */
export interface CallRequest {
  readonly program: string
  /** CNI_COMMAND and its companions. */
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string
  /** Milliseconds until the whole process group is killed. */
  readonly deadline: number
  /** Kills the process group after so many milliseconds, as a crash of the machine's memory would. */
  readonly killAfter?: number
}

/** One call of a plugin and what came of it. */
export interface PluginCall {
  readonly program: string
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number | null
  /** It was killed for being late. */
  readonly timedOut: boolean
  /** It had ended, but something that it left behind kept its stdout open. */
  readonly heldOpen: boolean
  readonly milliseconds: number
}

/** An output larger than this is cut: nothing that a plugin says is that long. */
const outputLimit = 4 * 1024 * 1024

/** How long stdout may stay open after the plugin has ended. */
const closeGrace = 2_000

/** Runs a plugin in the testbed, and never longer than its deadline. */
export async function callPlugin(testbed: Testbed, request: CallRequest): Promise<PluginCall> {
  const { program, env, stdin, deadline, killAfter } = request
  const start = performance.now()
  const child = testbed.spawn(program, [], { ...inherited(), ...env })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      if (output[name].length < outputLimit) output[name] += chunk
    })
  // A plugin that ends without reading is judged by what it says, not by our broken pipe.
  child.stdin?.on('error', () => {}).end(stdin)

  let timedOut = false
  const timers = [
    setTimeout(() => {
      timedOut = true
      killGroup(child)
    }, deadline),
  ]
  if (killAfter !== undefined) timers.push(setTimeout(() => killGroup(child), killAfter))
  const closed = new Promise<boolean>((resolve) => child.once('close', () => resolve(true)))
  const exitCode = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(127))
    child.once('exit', resolve)
  })
  const milliseconds = Math.round(performance.now() - start)
  for (const timer of timers) clearTimeout(timer)
  const heldOpen = !(await Promise.race([closed, sleep(closeGrace, false)]))
  if (heldOpen) for (const stream of [child.stdout, child.stderr]) stream?.destroy()
  return { program, env, stdin, ...output, exitCode, timedOut, heldOpen, milliseconds }
}

/** Whether a call succeeded. */
export function succeeded(call: PluginCall): boolean {
  return call.exitCode === 0 && !call.timedOut
}

/** The error that a call printed on stdout, if it is one as the spec has it. */
export function errorOf(
  call: PluginCall,
): (JsonObject & { readonly code: number; readonly msg: string }) | undefined {
  const parsed = tryParse(call.stdout)
  if (!isObject(parsed) || typeof parsed['code'] !== 'number' || typeof parsed['msg'] !== 'string')
    return undefined
  return { ...parsed, code: parsed['code'], msg: parsed['msg'] }
}

/** How a call ended, in a few words: `exit code 1, {"code":4,…}`. */
export function describeCall(call: PluginCall): string {
  const printed = call.stdout.trim() || call.stderr.trim()
  const oneLine = printed.replace(/\s+/g, ' ')
  const ended = call.timedOut
    ? `it did not end within ${call.milliseconds} ms and was killed`
    : call.exitCode === null
      ? 'killed by a signal'
      : `exit code ${call.exitCode}`
  if (oneLine === '') return `${ended}, nothing printed`
  return `${ended}, ${oneLine.length > 300 ? `${oneLine.slice(0, 299)}…` : oneLine}`
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CNI_')))
}
