import type { CachedAttachment } from '../cache/entry.ts'
import { type Network, type NetworkConfigList, toNetworkConfigList } from '../config/network-config.ts'
import { addFailed, isCniError, noResult } from '../errors.ts'
import { callForResult, callPlugin } from '../invoke/call-plugin.ts'
import { withDeadline } from '../invoke/deadline.ts'
import type { Attachment } from '../invoke/environment.ts'
import type { AnyResult } from '../result/result.ts'
import { atLeast } from '../version.ts'
import { type OperationContext, prepareCall } from './context.ts'

/** What ADD had done when it failed. */
interface Progress {
  /** How many plugins of the list were started. */
  started: number
  result: AnyResult | undefined
}

/**
 * Runs the chain. The cache learns of the attachment before the first plugin runs, so that what a killed process leaves
 * behind can be found and removed. On failure the plugins that ran are undone, last first, past errors of theirs.
 */
export async function add(
  context: OperationContext,
  given: Network,
  attachment: Attachment,
  rollbackDeadlineMs: number,
): Promise<AnyResult> {
  const network = toNetworkConfigList(given)
  const key = { network: network.name, ...attachment }
  const earlier = await context.cache.read(key).catch(() => undefined)
  const progress: Progress = { started: 0, result: undefined }
  // An attachment that stands keeps its entry until the new result is there.
  if (!earlier?.result) await context.cache.write(given, attachment)
  try {
    const result = await runChain(context, network, attachment, progress)
    await context.cache.write(given, attachment, result)
    return result
  } catch (error) {
    throw addFailed(error, await undo(context, network, attachment, progress, earlier, rollbackDeadlineMs))
  }
}

async function runChain(
  context: OperationContext,
  network: NetworkConfigList,
  attachment: Attachment,
  progress: Progress,
): Promise<AnyResult> {
  for (const plugin of network.plugins) {
    const call = { command: 'ADD', network, plugin, attachment, prevResult: progress.result } as const
    const prepared = await prepareCall(context, call)
    progress.started++
    progress.result = await callForResult(prepared).catch((error) => {
      // It did nothing, and could not undo it either.
      if (isCniError(error) && error.code === 'ERR_CNI_PLUGIN_START') progress.started--
      throw error
    })
  }
  if (!progress.result) throw noResult(network.name)
  return progress.result
}

// An attachment that stood before belongs to an earlier ADD: undoing this one would tear that one down.
async function undo(
  context: OperationContext,
  network: NetworkConfigList,
  attachment: Attachment,
  { started, result }: Progress,
  earlier: CachedAttachment | undefined,
  deadlineMs: number,
): Promise<unknown[]> {
  if (earlier?.result) return []
  const errors = await withDeadline({ deadlineMs }, async (deadline) => {
    const failures: unknown[] = []
    for (const plugin of network.plugins.slice(0, started).reverse()) {
      const prevResult = atLeast(network.cniVersion, '0.4.0') ? result : undefined
      try {
        const call = { command: 'DEL', network, plugin, attachment, prevResult } as const
        await callPlugin(await prepareCall({ ...context, deadline }, call))
      } catch (error) {
        failures.push(error)
      }
    }
    return failures
  })
  // What could not be undone stays known, for DEL or GC to try again.
  if (errors.length > 0) return errors
  const removal = await context.cache.remove({ network: network.name, ...attachment }).catch((error) => error)
  return removal === undefined ? [] : [removal]
}
