import type { NetworkConfigList, PluginConfig } from '../config/network-config.ts'
import { type JsonObject, withoutKeys } from '../json.ts'
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
  const runtimeConfig = declaredArguments(plugin, capabilityArgs)
  const given = {
    name,
    cniVersion,
    // Results are JSON by construction; an interface has no index signature to say so.
    ...(prevResult && { prevResult: prevResult as unknown as JsonObject }),
    ...(runtimeConfig && { runtimeConfig }),
  }
  // Of two spellings of one key, a plugin in Go takes whichever comes last.
  return { ...withoutKeys(plugin.raw, ['capabilities', ...Object.keys(given)]), ...given }
}

function declaredArguments({ capabilities }: PluginConfig, given: JsonObject): JsonObject | undefined {
  const entries = [...capabilities]
    .filter(
      ([capability, supported]) =>
        supported && Object.hasOwn(given, capability) && given[capability] !== undefined,
    )
    .map(([capability]) => [capability, given[capability]] as const)
  return entries.length > 0 ? Object.fromEntries(entries) : undefined
}
