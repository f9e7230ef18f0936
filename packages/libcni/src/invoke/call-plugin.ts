import { messageOf } from '@podwire/api'
import { type CniError, errors, isCniError, type PluginFailure } from '../errors.ts'
import { type JsonObject, parseJson } from '../json.ts'
import { parseResult } from '../result/parse.ts'
import type { AnyResult } from '../result/result.ts'
import type { Deadline } from './deadline.ts'
import type { Command } from './environment.ts'
import { pluginFailure, tail } from './plugin-error.ts'
import { maxStdout, runProcess } from './run-process.ts'

/** One run of one plugin. */
export interface PluginCall {
  readonly command: Command
  /** The plugin's type, for messages. */
  readonly plugin: string
  readonly path: string
  readonly network?: string
  readonly config: JsonObject
  readonly env: NodeJS.ProcessEnv
  readonly deadline: Deadline
}

/** What a plugin printed, and how to complain about it. */
export interface PluginAnswer {
  readonly stdout: string
  reject(error: unknown): Error
}

/** Runs a plugin; resolves with what it printed once it has exited 0. */
export async function callPlugin(call: PluginCall): Promise<PluginAnswer> {
  const { path, config, env, deadline, plugin, command, network } = call
  const started = performance.now()
  const failure = (end: Partial<PluginFailure> = {}): PluginFailure => ({
    ...(network === undefined ? {} : { network }),
    plugin,
    command,
    durationMs: performance.now() - started,
    stderr: '',
    ...end,
  })
  const outcome = await runProcess(path, JSON.stringify(config), env, deadline.signal).catch((cause) => {
    const end = failure({ neverRan: true })
    throw deadline.signal.aborted
      ? interrupted(deadline, end)
      : errors.ERR_CNI_PLUGIN_START({ ...end, path }, cause)
  })
  const { exitCode, signal, overflowed } = outcome
  const stderr = outcome.stderr.toString()
  const end = failure({ exitCode, signal, stderr: tail(stderr).trim() })
  if (overflowed)
    throw errors.ERR_CNI_PLUGIN_OUTPUT({ ...end, problem: `it printed more than ${maxStdout} bytes` })
  if (exitCode === 0) {
    const stdout = outcome.stdout.toString()
    return {
      stdout,
      reject: (error) => errors.ERR_CNI_PLUGIN_OUTPUT({ ...end, problem: messageOf(error) }, error),
    }
  }
  if (deadline.signal.aborted) throw interrupted(deadline, end)
  throw pluginFailure(outcome.stdout.toString(), stderr, end)
}

// The plugin and its children were killed.
function interrupted({ passed, signal }: Deadline, failure: PluginFailure): CniError {
  const deadlineMs = passed()
  return deadlineMs === undefined
    ? errors.ERR_CNI_ABORTED(failure, signal.reason)
    : errors.ERR_CNI_DEADLINE({ ...failure, deadlineMs }, signal.reason)
}

/** Runs a plugin that answers with a result. */
export async function callForResult(call: PluginCall): Promise<AnyResult> {
  const answer = await callPlugin(call)
  try {
    return parseResult(parseJson(answer.stdout, 'result'), String(call.config['cniVersion'] ?? ''))
  } catch (error) {
    if (!isCniError(error)) throw error
    throw answer.reject(error)
  }
}
