import { describeValue, messageOf } from '@podwire/api'
import { badConfig, isCniError } from '../errors.ts'
import { isArray, isObject, type JsonObject, kindOf, parseJsonObject, readKey, withoutKeys } from '../json.ts'
import { checkNetworkName } from '../names.ts'
import { negotiateVersion } from './negotiate-version.ts'

/** One plugin's part of a network configuration list. */
export interface PluginConfig {
  /** The name of the plugin's binary. */
  readonly type: string
  /** Capabilities that the plugin is declared to take, true or false. */
  readonly capabilities: ReadonlyMap<string, boolean>
  /** The whole configuration, unknown keys and all. */
  readonly raw: JsonObject
}

/** A network: the plugins that ADD runs in this order, and DEL in reverse. */
export interface NetworkConfigList {
  readonly name: string
  /** As negotiated between `cniVersion` and `cniVersions`; `0.1.0` where there was neither. */
  readonly cniVersion: string
  readonly disableCheck: boolean
  readonly disableGC: boolean
  readonly plugins: readonly PluginConfig[]
  /** The whole list as JSON, plugins from the plugin directory included: parsing it again gives the same list. */
  readonly raw: JsonObject
}

/** A single network configuration: one plugin, with the network's name and version in the same object. */
export interface NetworkConfig extends PluginConfig {
  readonly name: string
  readonly cniVersion: string
}

export type Network = NetworkConfigList | NetworkConfig

/**
 * Reads a network configuration list (`.conflist`).
 * @throws CniError `ERR_CNI_CONFIG`, `ERR_CNI_JSON`
 */
export function parseNetworkConfigList(
  text: string | Uint8Array,
  source = 'configuration list',
): NetworkConfigList {
  return toList(parseJsonObject(text, source), source, [])
}

/**
 * Reads a single network configuration (`.conf`, `.json`).
 * @throws CniError `ERR_CNI_CONFIG`, `ERR_CNI_JSON`
 */
export function parseNetworkConfig(text: string | Uint8Array, source = 'configuration'): NetworkConfig {
  return toNetworkConfig(parseJsonObject(text, source), source)
}

/** A single configuration as a list of one plugin; a list as it is. */
export function toNetworkConfigList(network: Network): NetworkConfigList {
  if ('plugins' in network) return network
  const { name, cniVersion, raw } = network
  return {
    name,
    cniVersion,
    disableCheck: false,
    disableGC: false,
    plugins: [network],
    raw: { name, cniVersion, plugins: [raw] },
  }
}

/** A list from an object; `extra` are the plugins found in the network's own directory. */
export function toList(raw: JsonObject, source: string, extra: readonly PluginConfig[]): NetworkConfigList {
  const inline = inlinePlugins(raw, source)
  const plugins = [...inline, ...extra]
  if (plugins.length === 0) throw badConfig(source, 'no plugin configs found')
  const list = {
    name: networkName(raw, source),
    cniVersion: negotiateVersion(raw, source),
    disableCheck: flag(raw, 'disableCheck', source),
    disableGC: flag(raw, 'disableGC', source),
    plugins,
  }
  if (extra.length === 0) return { ...list, raw }
  const inlined = { plugins: plugins.map((plugin) => plugin.raw), loadOnlyInlinedPlugins: true }
  return { ...list, raw: { ...withoutKeys(raw, Object.keys(inlined)), ...inlined } }
}

export function toNetworkConfig(raw: JsonObject, source: string): NetworkConfig {
  return {
    ...toPlugin(raw, source),
    name: networkName(raw, source),
    cniVersion: negotiateVersion(raw, source),
  }
}

export function toPlugin(raw: JsonObject, source: string): PluginConfig {
  const type = readKey(raw, 'type')
  if (type === undefined || type === '') throw badConfig(source, "missing 'type'")
  if (typeof type !== 'string') throw badConfig(source, `'type' is ${kindOf(type)}, expected a string`)
  return { type, capabilities: capabilities(raw, source), raw }
}

/** Whether plugins in the network's directory are left alone. */
export function onlyInlinedPlugins(raw: JsonObject, source: string): boolean {
  return flag(raw, 'loadOnlyInlinedPlugins', source)
}

export function networkName(raw: JsonObject, source: string): string {
  const name = readKey(raw, 'name')
  if (name === undefined) throw badConfig(source, 'no name')
  if (typeof name !== 'string') throw badConfig(source, `invalid name type: ${kindOf(name)}`)
  try {
    checkNetworkName(name)
  } catch (cause) {
    throw badConfig(source, messageOf(cause), cause)
  }
  return name
}

function inlinePlugins(raw: JsonObject, source: string): PluginConfig[] {
  const plugins = readKey(raw, 'plugins')
  const inlinedOnly = onlyInlinedPlugins(raw, source)
  if (plugins === undefined) {
    if (inlinedOnly) throw badConfig(source, "'loadOnlyInlinedPlugins' is true, and no 'plugins' key")
    return []
  }
  if (!isArray(plugins)) throw badConfig(source, `invalid 'plugins' type: ${kindOf(plugins)}`)
  if (plugins.length === 0) throw badConfig(source, 'no plugins in list')
  return plugins.map((plugin, index) => {
    if (!isObject(plugin)) throw badConfig(source, `plugin ${index} is ${kindOf(plugin)}, expected an object`)
    try {
      return toPlugin(plugin, source)
    } catch (cause) {
      if (!isCniError(cause)) throw cause
      throw badConfig(source, `plugin ${index}: ${cause.details['problem']}`, cause)
    }
  })
}

function capabilities(raw: JsonObject, source: string): Map<string, boolean> {
  const declared = readKey(raw, 'capabilities')
  if (declared === undefined) return new Map()
  if (!isObject(declared))
    throw badConfig(source, `'capabilities' is ${kindOf(declared)}, expected an object of booleans`)
  return new Map(
    Object.entries(declared).map(([capability, supported]) => {
      if (typeof supported !== 'boolean' && supported !== null)
        throw badConfig(source, `capability "${capability}" is ${kindOf(supported)}, expected true or false`)
      return [capability, supported === true]
    }),
  )
}

function flag(raw: JsonObject, key: string, source: string): boolean {
  const value = readKey(raw, key)
  if (value === undefined) return false
  if (typeof value === 'boolean') return value
  const word = typeof value === 'string' ? value.toLowerCase() : undefined
  if (word === 'true' || word === 'false') return word === 'true'
  throw badConfig(source, `invalid value ${describeValue(value)} for ${key}, expected true or false`)
}
