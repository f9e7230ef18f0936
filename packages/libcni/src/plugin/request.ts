import { messageOf } from '@podwire/api'
import { CniCode, pluginError } from '../errors.ts'
import { isArray, isObject, type JsonObject, parseJsonObject, readKey } from '../json.ts'
import { checkContainerId, checkInterfaceName, checkNetworkName } from '../names.ts'
import { convertResult } from '../result/convert.ts'
import { parseResult } from '../result/parse.ts'
import type { Result } from '../result/result.ts'
import { parseVersion } from '../version.ts'
import { type Delegate, delegateWith } from './delegate.ts'
import type { CniEnvironment, PluginEnvironment } from './environment.ts'
import { normaliseRuntimeConfig } from './runtime-config.ts'

/** What every command but VERSION tells a plugin. */
export interface NetworkRequest {
  /** The network's name. */
  readonly name: string
  /** The configuration's version, which the answer is converted to. */
  readonly cniVersion: string
  /** The whole configuration as it came, keys spelt in any case: see `readKey`. */
  readonly config: JsonObject
  /** Capability arguments, the conventions' keys in their usual spelling (`hostPort`, not `HostPort`). */
  readonly runtimeConfig: JsonObject
  /** Where plugins are found. */
  readonly path: readonly string[]
  /** Runs another plugin, such as `ipam`, in the same environment. */
  readonly delegate: Delegate
}

/** ADD, CHECK and DEL. */
export interface AttachmentRequest extends NetworkRequest {
  readonly containerId: string
  readonly ifName: string
  /** Path of the network namespace; empty where it is gone (DEL). */
  readonly netns: string
  /** CNI_ARGS as it came; see `parseCniArgs`. */
  readonly args: string
  /** What the plugins before have done (ADD), or ADD's final result (CHECK, DEL). */
  readonly prevResult?: Result
}

export interface GcRequest extends NetworkRequest {
  /** The attachments that stay. */
  readonly validAttachments: readonly { readonly containerId: string; readonly ifName: string }[]
}

/** Reads the configuration on stdin, far enough to answer in its version. */
export function parseConfig(stdin: string): { config: JsonObject; name: string; cniVersion: string } {
  let config: JsonObject
  try {
    config = parseJsonObject(stdin, 'network config')
  } catch (error) {
    throw pluginError(CniCode.decodingFailure, `error unmarshalling ${messageOf(error)}`)
  }
  const name = readKey(config, 'name') ?? ''
  if (typeof name !== 'string') throw pluginError(CniCode.decodingFailure, 'the network name is not a string')
  checkNetworkName(name)
  const cniVersion = readKey(config, 'cniVersion') || '0.1.0'
  if (typeof cniVersion !== 'string') throw pluginError(CniCode.decodingFailure, 'cniVersion is not a string')
  try {
    parseVersion(cniVersion)
  } catch (error) {
    throw pluginError(CniCode.decodingFailure, messageOf(error))
  }
  return { config, name, cniVersion }
}

export function networkRequest(
  { config, name, cniVersion }: ReturnType<typeof parseConfig>,
  { path }: PluginEnvironment,
  env: CniEnvironment,
): NetworkRequest {
  const runtimeConfig = readKey(config, 'runtimeConfig') ?? {}
  if (!isObject(runtimeConfig)) throw pluginError(CniCode.invalidConfig, 'runtimeConfig is not an object')
  return {
    name,
    cniVersion,
    config,
    runtimeConfig: normaliseRuntimeConfig(runtimeConfig),
    path,
    delegate: delegateWith(config, env, path),
  }
}

export function attachmentRequest(
  network: NetworkRequest,
  environment: PluginEnvironment,
): AttachmentRequest {
  const { containerId, ifName, netns, args } = environment
  checkContainerId(containerId)
  checkInterfaceName(ifName)
  const prevResult = parsePrevResult(network)
  return { ...network, containerId, ifName, netns, args, ...(prevResult && { prevResult }) }
}

export function gcRequest(network: NetworkRequest): GcRequest {
  const list =
    readKey(network.config, 'cni.dev/valid-attachments') ??
    readKey(network.config, 'cni.dev/attachments') ??
    []
  const entries = isArray(list) ? list : [list]
  const validAttachments = entries.map((entry) => {
    const containerId = isObject(entry) ? readKey(entry, 'containerID') : undefined
    const ifName = isObject(entry) ? readKey(entry, 'ifname') : undefined
    // Taking a misspelt entry for none would tear a live attachment down.
    if (typeof containerId !== 'string' || typeof ifName !== 'string')
      throw pluginError(
        CniCode.invalidConfig,
        'cni.dev/valid-attachments is not a list of objects with containerID and ifname',
      )
    return { containerId, ifName }
  })
  return { ...network, validAttachments }
}

function parsePrevResult({ config, cniVersion }: NetworkRequest): Result | undefined {
  const prevResult = readKey(config, 'prevResult')
  if (prevResult === undefined) return undefined
  try {
    return convertResult(parseResult(prevResult, cniVersion), '1.1.0')
  } catch (error) {
    throw pluginError(CniCode.decodingFailure, `could not parse prevResult: ${messageOf(error)}`)
  }
}
