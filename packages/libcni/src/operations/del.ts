import type { CachedAttachment, EntryKey } from '../cache/entry.ts'
import { type Network, type NetworkConfigList, toNetworkConfigList } from '../config/network-config.ts'
import { errors, isCniError } from '../errors.ts'
import { callPlugin } from '../invoke/call-plugin.ts'
import type { Attachment } from '../invoke/environment.ts'
import { convertResult } from '../result/convert.ts'
import type { AnyResult } from '../result/result.ts'
import { atLeast } from '../version.ts'
import { type OperationContext, prepareCall } from './context.ts'

/**
 * Runs the chain backwards, stops at the first failure and forgets the attachment at the end. The configuration,
 * arguments and namespace of the cached ADD are taken where there are any: what was set up is what must be torn down.
 */
export async function del(
  context: OperationContext,
  given: Network | string,
  attachment: Attachment,
  configFrom: 'cache' | 'caller',
): Promise<void> {
  const key = { network: typeof given === 'string' ? given : given.name, ...attachment }
  const cached = await readCached(context, key, typeof given === 'string')
  if (!cached && typeof given === 'string') return
  const network = configToUse(given, cached, configFrom) ?? missingConfig(context, key)
  const whole = { ...cachedArguments(cached), ...attachment }
  const prevResult = atLeast(network.cniVersion, '0.4.0')
    ? asVersion(cached?.result, network.cniVersion)
    : undefined
  for (const plugin of [...network.plugins].reverse())
    await callPlugin(
      await prepareCall(context, { command: 'DEL', network, plugin, attachment: whole, prevResult }),
    )
  await context.cache.remove(key)
}

// A corrupt entry must not stand in the way of tearing down, unless it is all there is to go by.
async function readCached(context: OperationContext, key: EntryKey, needed: boolean) {
  try {
    return await context.cache.read(key)
  } catch (error) {
    if (needed || !isCniError(error)) throw error
    return undefined
  }
}

function configToUse(
  given: Network | string,
  cached: CachedAttachment | undefined,
  configFrom: 'cache' | 'caller',
): NetworkConfigList | undefined {
  if (typeof given === 'string') return cached?.config
  const isWhole = cached?.config !== undefined && !cached.configMayLackPlugins
  return isWhole && configFrom === 'cache' ? cached.config : toNetworkConfigList(given)
}

function missingConfig({ cache }: OperationContext, key: EntryKey): never {
  const problem = "the cache entry doesn't say which plugins to run; give DEL the network's configuration"
  throw errors.ERR_CNI_CACHE({ problem, path: cache.path(key) })
}

function cachedArguments(cached: CachedAttachment | undefined): Partial<Attachment> {
  if (!cached) return {}
  const { netns, args, capabilityArgs } = cached
  return {
    ...(netns === undefined ? {} : { netns }),
    ...(args ? { args } : {}),
    ...(capabilityArgs ? { capabilityArgs } : {}),
  }
}

// A result that the configuration's version can't hold is worth no more than none.
function asVersion(result: AnyResult | undefined, version: string): AnyResult | undefined {
  try {
    return result && convertResult(result, version)
  } catch {
    return undefined
  }
}
