import {
  type Network,
  type NetworkConfigList,
  networkName,
  onlyInlinedPlugins,
  toList,
  toNetworkConfig,
  toNetworkConfigList,
} from '../config/network-config.ts'
import { badResult } from '../errors.ts'
import type { Attachment } from '../invoke/environment.ts'
import { isArray, isObject, type JsonObject, parseJsonObject, readKey } from '../json.ts'
import { text } from '../result/fields.ts'
import { parseResult } from '../result/parse.ts'
import type { AnyResult } from '../result/result.ts'

/** What names an entry. */
export interface EntryKey {
  readonly network: string
  readonly containerId: string
  readonly ifName: string
}

/** An attachment as the cache remembers it. */
export interface CachedAttachment extends Attachment {
  readonly network: string
  /**
   * The configuration it was made with. Absent in files from before Go's libcni 0.8, and where Go wrote down a list whose plugins
   * are all in the network's own directory.
   */
  readonly config?: NetworkConfigList
  /** Go's libcni wrote `config`, and may have run plugins of the network's own directory after those in it. */
  readonly configMayLackPlugins?: true
  /** Absent while ADD runs, or where it never came to its end. */
  readonly result?: AnyResult
}

const kind = 'cniCacheV1'
const source = 'cached configuration'

/** The file of an entry, as Go's libcni writes and reads it. `wholeConfig` is ours, and passed over by Go. */
export function encodeEntry(network: Network, attachment: Attachment, result?: AnyResult): string {
  const { containerId, ifName, netns, args, capabilityArgs } = attachment
  return JSON.stringify({
    kind,
    containerId,
    config: Buffer.from(JSON.stringify(network.raw)).toString('base64'),
    wholeConfig: true,
    ifName,
    networkName: network.name,
    ...(netns === undefined ? {} : { netns }),
    ...(args && args.length > 0 ? { cniArgs: args } : {}),
    ...(capabilityArgs && Object.keys(capabilityArgs).length > 0 ? { capabilityArgs } : {}),
    ...(result ? { result } : {}),
  })
}

/**
 * Reads an entry. Old files are a bare result, and say only in their names whose: `known` fills in what they lack.
 * @throws CniError of any code for what can't be understood
 */
export function decodeEntry(content: string | Uint8Array, known?: EntryKey): CachedAttachment {
  const object = parseJsonObject(content, 'cache entry')
  if (readKey(object, 'kind') !== kind) return legacyEntry(object, known)
  const [network, containerId, ifName] = ['networkName', 'containerId', 'ifName'].map((key) =>
    text(object, key),
  )
  if (!network || !containerId || !ifName) throw badResult('it lacks networkName, containerId or ifName')
  if (known && (network !== known.network || containerId !== known.containerId || ifName !== known.ifName))
    throw badResult(`it is about network ${network}, container ${containerId}, interface ${ifName}`)
  const netns = text(object, 'netns')
  const capabilityArgs = readKey(object, 'capabilityArgs')
  const result = readKey(object, 'result')
  return {
    network,
    containerId,
    ifName,
    ...(netns === undefined ? {} : { netns }),
    ...pairs(object),
    ...(isObject(capabilityArgs) ? { capabilityArgs } : {}),
    ...cachedConfig(object),
    ...(result === undefined ? {} : { result: parseResult(result, '0.1.0') }),
  }
}

function legacyEntry(object: JsonObject, known: EntryKey | undefined): CachedAttachment {
  if (!known || readKey(object, 'kind') !== undefined) throw badResult(`its kind is not ${kind}`)
  if (['ips', 'interfaces', 'ip4', 'ip6', 'cniVersion'].every((key) => readKey(object, key) === undefined))
    throw badResult('it does not hold a result')
  return { ...known, result: parseResult(object, '0.1.0') }
}

function cachedConfig(object: JsonObject): Pick<CachedAttachment, 'config' | 'configMayLackPlugins'> {
  const base64 = text(object, 'config')
  if (!base64) return {}
  const raw = parseJsonObject(Buffer.from(base64, 'base64'), source)
  networkName(raw, source)
  if (readKey(raw, 'plugins') === undefined)
    return readKey(raw, 'type') === undefined
      ? {}
      : { config: toNetworkConfigList(toNetworkConfig(raw, source)) }
  const isWhole = readKey(object, 'wholeConfig') === true || onlyInlinedPlugins(raw, source)
  return { config: toList(raw, source, []), ...(isWhole ? {} : { configMayLackPlugins: true }) }
}

function pairs(object: JsonObject): Pick<Attachment, 'args'> {
  const value = readKey(object, 'cniArgs')
  if (value === undefined) return {}
  if (!isArray(value)) throw badResult('cniArgs is not a list of pairs')
  const args = value.map((pair) => {
    const [key, text, ...rest] = isArray(pair) ? pair : []
    if (typeof key !== 'string' || typeof text !== 'string' || rest.length > 0)
      throw badResult('cniArgs is not a list of pairs')
    return [key, text] as const
  })
  return { args }
}
