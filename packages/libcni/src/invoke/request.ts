import type { NetworkConfigList, PluginConfig } from '../config/network-config.ts'
import { type JsonObject, own } from '../json.ts'
import type { AnyResult } from '../result/result.ts'

/**
 * What a plugin reads on stdin: its configuration, unknown keys and all, with the network's name and version, what ran
 * before it, and those capability arguments that it declares.
 */
export function pluginRequest(
  { name, cniVersion }: Pick<NetworkConfigList, 'name' | 'cniVersion'>,
  plugin: PluginConfig,
  {
    prevResult,
    capabilityArgs = {},
  }: { prevResult?: AnyResult | undefined; capabilityArgs?: JsonObject | undefined },
): JsonObject {
  const { capabilities: _, ...config } = plugin.raw
  const runtimeConfig = declaredArguments(plugin, capabilityArgs)
  return {
    ...config,
    name,
    cniVersion,
    // Results are JSON by construction; an interface has no index signature to say so.
    ...(prevResult && { prevResult: prevResult as unknown as JsonObject }),
    ...(runtimeConfig && { runtimeConfig }),
  }
}

function declaredArguments({ capabilities }: PluginConfig, given: JsonObject): JsonObject | undefined {
  const entries = [...capabilities]
    .filter(([capability, supported]) => supported && own(given, capability) !== undefined)
    .map(([capability]) => [capability, given[capability]] as const)
  return entries.length > 0 ? Object.fromEntries(entries) : undefined
}
