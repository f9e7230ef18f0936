import type { Cache } from '../cache/cache.ts'
import type { NetworkConfigList, PluginConfig } from '../config/network-config.ts'
import type { PluginCall } from '../invoke/call-plugin.ts'
import type { Deadline, TraceContext } from '../invoke/deadline.ts'
import { type Attachment, type Command, pluginEnvironment } from '../invoke/environment.ts'
import { findPlugin } from '../invoke/find-plugin.ts'
import { pluginRequest } from '../invoke/request.ts'
import type { JsonObject } from '../json.ts'
import type { AnyResult } from '../result/result.ts'

/** What every operation works with. */
export interface OperationContext {
  readonly pluginDirectories: readonly string[]
  readonly cache: Cache
  readonly deadline: Deadline
  readonly trace: TraceContext | undefined
}

/** What differs from plugin to plugin and from command to command. */
interface Call {
  readonly command: Command
  readonly network: NetworkConfigList
  readonly plugin: PluginConfig
  readonly attachment?: Attachment
  readonly prevResult?: AnyResult | undefined
  /** More keys of the request. */
  readonly extra?: JsonObject
}

/** Finds the plugin and makes everything ready to run it. */
export async function prepareCall(context: OperationContext, call: Call): Promise<PluginCall> {
  const { command, network, plugin, attachment, prevResult, extra } = call
  return {
    command,
    plugin: plugin.type,
    network: network.name,
    path: await findPlugin(plugin.type, context.pluginDirectories),
    config: {
      ...pluginRequest(network, plugin, { prevResult, capabilityArgs: attachment?.capabilityArgs }),
      ...extra,
    },
    env: pluginEnvironment(command, context.pluginDirectories, attachment, context.trace),
    deadline: context.deadline,
  }
}
