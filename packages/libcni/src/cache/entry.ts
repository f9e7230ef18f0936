import type { Network, NetworkConfigList } from '../config/network-config.ts'
import { parseNetworkConfig, parseNetworkConfigList, toNetworkConfigList } from '../config/network-config.ts'
import { badResult } from '../errors.ts'
import type { Attachment } from '../invoke/environment.ts'
import { isArray, isObject, type JsonObject, own, parseJsonObject } from '../json.ts'
import { parseResult } from '../result/parse.ts'
import type { AnyResult } from '../result/result.ts'

/** An attachment as the cache remembers it. */
export interface CachedAttachment extends Attachment {
  readonly network: string
  /** The configuration it was made with; absent in files from before Go's libcni 0.8. */
  readonly config?: NetworkConfigList
  /** Absent while ADD runs, or where it never came to its end. */
  readonly result?: AnyResult
}

const kind = 'cniCacheV1'

/** The file of an entry, as Go's libcni writes and reads it. */
export function encodeEntry(network: Network, attachment: Attachment, result?: AnyResult): string {
  const { containerId, ifName, netns, args, capabilityArgs } = attachment
  return JSON.stringify({
    kind,
    containerId,
    config: Buffer.from(JSON.stringify(network.raw)).toString('base64'),
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
export function decodeEntry(
  bytes: Uint8Array,
  known?: { network: string; containerId: string; ifName: string },
): CachedAttachment {
  const object = parseJsonObject(bytes, 'cache entry')
  if (own(object, 'kind') !== kind) return legacyEntry(object, known)
  const [network, containerId, ifName] = ['networkName', 'containerId', 'ifName'].map((key) =>
    word(object, key),
  )
  if (!network || !containerId || !ifName) throw badResult('it lacks networkName, containerId or ifName')
  if (known && (network !== known.network || containerId !== known.containerId || ifName !== known.ifName))
    throw badResult(`it is about network ${network}, container ${containerId}, interface ${ifName}`)
  const netns = word(object, 'netns')
  const capabilityArgs = own(object, 'capabilityArgs')
  const config = cachedConfig(word(object, 'config'))
  const result = own(object, 'result')
  return {
    network,
    containerId,
    ifName,
    ...(netns === undefined ? {} : { netns }),
    ...pairs(object),
    ...(isObject(capabilityArgs) ? { capabilityArgs } : {}),
    ...(config ? { config } : {}),
    ...(result === undefined ? {} : { result: parseResult(result, '0.1.0') }),
  }
}

function legacyEntry(
  object: JsonObject,
  known: { network: string; containerId: string; ifName: string } | undefined,
): CachedAttachment {
  if (!known || own(object, 'kind') !== undefined) throw badResult(`its kind is not ${kind}`)
  if (!['ips', 'interfaces', 'ip4', 'ip6', 'cniVersion'].some((key) => Object.hasOwn(object, key)))
    throw badResult('it holds no result')
  return { ...known, result: parseResult(object, '0.1.0') }
}

function cachedConfig(base64: string | undefined): NetworkConfigList | undefined {
  if (!base64) return undefined
  const bytes = Buffer.from(base64, 'base64')
  const isList = Object.hasOwn(parseJsonObject(bytes, 'cached configuration'), 'plugins')
  return isList
    ? parseNetworkConfigList(bytes, 'cached configuration')
    : toNetworkConfigList(parseNetworkConfig(bytes, 'cached configuration'))
}

function pairs(object: JsonObject): Pick<Attachment, 'args'> {
  const value = own(object, 'cniArgs')
  if (value === undefined) return {}
  if (!isArray(value)) throw badResult('cniArgs is no list of pairs')
  const args = value.map((pair) => {
    const [key, text, ...rest] = isArray(pair) ? pair : []
    if (typeof key !== 'string' || typeof text !== 'string' || rest.length > 0)
      throw badResult('cniArgs is no list of pairs')
    return [key, text] as const
  })
  return { args }
}

function word(object: JsonObject, key: string): string | undefined {
  const value = own(object, key)
  if (value === undefined || typeof value === 'string') return value
  throw badResult(`${key} is no text`)
}
