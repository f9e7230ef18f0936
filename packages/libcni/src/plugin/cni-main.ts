import { readFileSync, statSync, writeSync } from 'node:fs'
import { errnoOf, messageOf } from '@podwire/api'
import { CniCode, isCniError, pluginError } from '../errors.ts'
import { convertResult } from '../result/convert.ts'
import type { Result } from '../result/result.ts'
import { atLeast, type CniVersion, cniVersions, currentVersion } from '../version.ts'
import { type PluginEnvironment, readEnvironment } from './environment.ts'
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

/** A CNI plugin. What a function throws is printed as the spec has it: `pluginError` with its code, the rest with 999. */
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

/** Serves the one call that this process was started for, and ends the process. */
export async function cniMain(plugin: CniPlugin): Promise<never> {
  const versions = plugin.versions ?? cniVersions
  if (!process.env.CNI_COMMAND) {
    process.stderr.write(`${plugin.about}\nCNI protocol versions supported: ${versions.join(', ')}\n`)
    process.exit(0)
  }
  const answer = { cniVersion: currentVersion as string }
  const fail = (error: unknown): never => {
    print({ cniVersion: answer.cniVersion, ...describe(error) })
    process.exit(1)
  }
  // What is thrown where nobody awaits it, and what waits for something that never comes, are failures too.
  process.once('uncaughtException', fail)
  process.once('beforeExit', () => fail(new Error('the plugin ended before it answered')))
  try {
    const output = await serve(plugin, versions, answer)
    if (output !== undefined) print(output)
    process.exit(0)
  } catch (error) {
    return fail(error)
  }
}

async function serve(
  plugin: CniPlugin,
  versions: readonly string[],
  answer: { cniVersion: string },
): Promise<object | undefined> {
  const environment = readEnvironment(process.env)
  const { command } = environment
  if (command === 'VERSION') return { cniVersion: currentVersion, supportedVersions: versions }
  if (!Object.hasOwn(commands, command))
    throw pluginError(CniCode.invalidEnvironment, `unknown CNI_COMMAND: ${command}`)
  const { since, run } = commands[command as keyof typeof commands] // just looked up
  const parsed = parseConfig(readStdin())
  if (versions.includes(parsed.cniVersion)) answer.cniVersion = parsed.cniVersion
  if (!atLeast(parsed.cniVersion, since))
    throw pluginError(CniCode.incompatibleVersion, `config version does not allow ${command}`)
  if (!versions.includes(parsed.cniVersion))
    throw pluginError(
      CniCode.incompatibleVersion,
      'incompatible CNI versions',
      `config is "${parsed.cniVersion}", plugin supports ${JSON.stringify(versions)}`,
    )
  return run(plugin, networkRequest(parsed, environment), environment)
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
      await plugin.check?.(attachmentRequest(network, environment))
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

function readStdin(): string {
  try {
    return readFileSync(0, 'utf8')
  } catch (error) {
    throw pluginError(CniCode.ioFailure, `error reading from stdin: ${messageOf(error)}`)
  }
}

function describe(error: unknown): { code: number; msg: string; details?: string } {
  if (!isCniError(error)) return { code: CniCode.internal, msg: messageOf(error) }
  const details = error.details['details']
  return { code: error.cniCode, msg: error.message, ...(typeof details === 'string' ? { details } : {}) }
}

// Written whole before the process ends: a pipe may take it piece by piece.
function print(value: object): void {
  let rest = Buffer.from(`${JSON.stringify(value, null, 4)}\n`)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if (errnoOf(error) === 'EPIPE') return
      if (errnoOf(error) !== 'EAGAIN') throw error
    }
  }
}
