import { statSync } from 'node:fs'
import { messageOf } from '@podwire/api'
import { CniCode, isCniError, pluginError } from '../errors.ts'
import { parseJsonObject, readKey } from '../json.ts'
import { convertResult } from '../result/convert.ts'
import type { Result } from '../result/result.ts'
import { atLeast, type CniVersion, cniVersions, currentVersion } from '../version.ts'
import { type CniEnvironment, type PluginEnvironment, readEnvironment } from './environment.ts'
import {
  type AttachmentRequest,
  attachmentRequest,
  type GcRequest,
  gcRequest,
  type NetworkRequest,
  networkRequest,
  parseConfig,
} from './request.ts'

/** What ADD answers: a result in 1.1.0's form. It is converted to the version that was asked for. */
export type PluginResult = Omit<Result, 'cniVersion'> & { readonly cniVersion?: '1.1.0' }

/** A CNI plugin. What a function throws is answered as the spec has it: `pluginError` with its code, the rest with 999. */
export interface CniPlugin {
  /** Printed for a person who runs the plugin by hand: `CNI plugin dummy v1.0.0` */
  readonly about: string
  /** The versions it speaks; all by default. */
  readonly versions?: readonly CniVersion[]
  /** Attaches. Without a result it answers `prevResult`: it passes on what it was given. */
  add(request: AttachmentRequest): Promise<PluginResult | void> | PluginResult | void
  check?(request: AttachmentRequest): Promise<void> | void
  /** Detaches; what isn't there any more is fine. */
  del(request: AttachmentRequest): Promise<void> | void
  gc?(request: GcRequest): Promise<void> | void
  status?(request: NetworkRequest): Promise<void> | void
}

/** One call of a plugin: what a runtime gives to the process that it starts. */
export interface CniCall {
  /** The environment; what is not CNI's is not looked at, but handed to plugins that this one runs. */
  readonly env: CniEnvironment
  /** All of stdin; called at most once, and only where it is needed. What it throws is told as code 5 unless it has one. */
  stdin(): string
}

/** What the process prints on stdout, and its exit code. */
export interface CniAnswer {
  readonly stdout: string
  readonly exitCode: 0 | 1
}

/** A call that is being answered. */
export interface ServedCall {
  /** Never rejects. */
  readonly answer: Promise<CniAnswer>
  /** The answer where something went wrong that nobody awaits: in the version of the question, as far as that is known. */
  fail(error: unknown): CniAnswer
}

/**
 * Answers one call as the process of a plugin would, whoever brought it: versions, errors and the conversion of results
 * included. Never rejects.
 */
export function serveCni(plugin: CniPlugin, call: CniCall): Promise<CniAnswer> {
  return beginCall(plugin, call).answer
}

/** The same, for who must be able to answer before it has ended. */
export function beginCall(plugin: CniPlugin, call: CniCall): ServedCall {
  let cniVersion: string = currentVersion
  const fail = (error: unknown): CniAnswer => ({
    stdout: printed({ cniVersion, ...describe(error) }),
    exitCode: 1,
  })
  const speak = (version: string) => {
    cniVersion = version
  }
  const answer = serve(plugin, call, speak).then(
    (output): CniAnswer => ({ stdout: output === undefined ? '' : printed(output), exitCode: 0 }),
    fail,
  )
  return { answer, fail }
}

/** @param speak told of the version that errors are answered in */
async function serve(
  plugin: CniPlugin,
  call: CniCall,
  speak: (version: string) => void,
): Promise<object | undefined> {
  const versions: readonly string[] = plugin.versions ?? cniVersions
  const environment = readEnvironment(call.env)
  const { command } = environment
  if (command === 'VERSION') return { cniVersion: versionOfQuestion(call), supportedVersions: versions }
  if (!Object.hasOwn(commands, command))
    throw pluginError(CniCode.invalidEnvironment, `unknown CNI_COMMAND: ${command}`)
  const { since, run } = commands[command as keyof typeof commands] // just looked up
  const parsed = parseConfig(readStdin(call))
  if (versions.includes(parsed.cniVersion)) speak(parsed.cniVersion)
  if (!atLeast(parsed.cniVersion, since))
    throw pluginError(CniCode.incompatibleVersion, `config version does not allow ${command}`)
  if (!versions.includes(parsed.cniVersion))
    throw pluginError(
      CniCode.incompatibleVersion,
      'incompatible CNI versions',
      `config is "${parsed.cniVersion}", plugin supports ${JSON.stringify(versions)}`,
    )
  return run(plugin, networkRequest(parsed, environment, call.env), environment)
}

type Run = (
  plugin: CniPlugin,
  network: NetworkRequest,
  environment: PluginEnvironment,
) => Promise<object | undefined>

const commands: Record<'ADD' | 'CHECK' | 'DEL' | 'GC' | 'STATUS', { since: CniVersion; run: Run }> = {
  ADD: {
    since: '0.1.0',
    async run(plugin, network, environment) {
      const request = attachmentRequest(network, environment)
      refuseOwnNamespace(environment)
      const result = (await plugin.add(request)) ?? request.prevResult
      if (!result)
        throw pluginError(CniCode.internal, 'the plugin gave no result, and there is no prevResult')
      return convertResult({ ...result, cniVersion: '1.1.0' }, network.cniVersion)
    },
  },
  CHECK: {
    since: '0.4.0',
    async run(plugin, network, environment) {
      const request = attachmentRequest(network, environment)
      // Without it nobody knows what to expect, and a success would say that all is well.
      if (!request.prevResult)
        throw pluginError(CniCode.invalidConfig, 'prevResult is missing, which CHECK compares with')
      await plugin.check?.(request)
      return undefined
    },
  },
  DEL: {
    since: '0.1.0',
    async run(plugin, network, environment) {
      const request = attachmentRequest(network, environment)
      refuseOwnNamespace(environment)
      await plugin.del(request)
      return undefined
    },
  },
  GC: {
    since: '1.1.0',
    async run(plugin, network) {
      await plugin.gc?.(gcRequest(network))
      return undefined
    },
  },
  STATUS: {
    since: '1.1.0',
    async run(plugin, network) {
      await plugin.status?.(network)
      return undefined
    },
  },
}

// A runtime that mistakes the host's namespace for a container's must not have the host's interfaces changed. A
// namespace that is gone is not a mistake.
function refuseOwnNamespace({ netns, netnsOverride }: PluginEnvironment): void {
  if (netnsOverride || !isOwnNamespace(netns)) return
  throw pluginError(
    CniCode.invalidNamespace,
    "plugin's netns and netns from CNI_NETNS should not be the same",
    netns,
  )
}

function isOwnNamespace(netns: string): boolean {
  try {
    const [target, own] = [statSync(netns), statSync('/proc/self/ns/net')]
    return target.ino === own.ino && target.dev === own.dev
  } catch {
    return false
  }
}

// The answer has the version of the question. Who asks without one gets the newest.
function versionOfQuestion(call: CniCall): string {
  try {
    const cniVersion = readKey(parseJsonObject(readStdin(call), 'the question'), 'cniVersion')
    return typeof cniVersion === 'string' && cniVersion !== '' ? cniVersion : currentVersion
  } catch {
    return currentVersion
  }
}

function readStdin(call: CniCall): string {
  try {
    return call.stdin()
  } catch (error) {
    if (isCniError(error)) throw error
    throw pluginError(CniCode.ioFailure, `error reading from stdin: ${messageOf(error)}`)
  }
}

function describe(error: unknown): { code: number; msg: string; details?: string } {
  if (!isCniError(error)) return { code: CniCode.internal, msg: messageOf(error) }
  const details = error.details['details']
  return { code: error.cniCode, msg: error.message, ...(typeof details === 'string' ? { details } : {}) }
}

const printed = (value: object): string => `${JSON.stringify(value, null, 4)}\n`
