import type { CachedAttachment } from '../cache/entry.ts'
import { type Network, type NetworkConfigList, toNetworkConfigList } from '../config/network-config.ts'
import { addFailed, badConfig, errors, isCniError } from '../errors.ts'
import { callForResult, callPlugin } from '../invoke/call-plugin.ts'
import { withDeadline } from '../invoke/deadline.ts'
import type { Attachment } from '../invoke/environment.ts'
import { type FoundInterface, findInterface } from '../invoke/find-interface.ts'
import type { AnyResult } from '../result/result.ts'
import { atLeast } from '../version.ts'
import { type OperationContext, prepareCall } from './context.ts'

/** What was there before ADD, and what it had done when it failed. */
interface Progress {
  readonly earlier: CachedAttachment | undefined
  /** The interface, where it was there already: only `lo` can be. */
  readonly before: FoundInterface | undefined
  /** How many plugins of the list were started. */
  started: number
  result: AnyResult | undefined
}

/**
 * Runs the chain. An interface of that name is refused before anything runs: a plugin's DEL would take it for its own. The
 * cache learns of the attachment before the first plugin runs, so that what a killed process leaves behind can be found
 * and removed. On failure the plugins that ran are undone, last first, past errors of theirs.
 */
export async function add(
  context: OperationContext,
  given: Network,
  attachment: Attachment,
  rollbackDeadlineMs: number,
): Promise<AnyResult> {
  const network = toNetworkConfigList(given)
  const before = await refuseExisting(context, attachment)
  const earlier = await context.cache.read({ network: network.name, ...attachment }).catch(() => undefined)
  const progress: Progress = { earlier, before, started: 0, result: undefined }
  // An attachment that stands keeps its entry until the new result is there.
  if (!earlier?.result) await context.cache.write(given, attachment)
  try {
    const result = await runChain(context, network, attachment, progress)
    await context.cache.write(given, attachment, result)
    return result
  } catch (error) {
    throw addFailed(error, await undo(context, network, attachment, progress, rollbackDeadlineMs))
  }
}

/** Rejects where the interface is there already, and says whose it is. `lo` is in every namespace. */
export async function refuseExisting(
  { cache, deadline }: OperationContext,
  { netns, ifName }: Attachment,
): Promise<FoundInterface | undefined> {
  const found = netns ? await findInterface(netns, ifName, deadline.signal) : undefined
  if (!netns || !found || ifName === 'lo') return found
  const { attachments } = await cache.list()
  const owner = attachments.find((one) => one.netns === netns && one.ifName === ifName)
  throw errors.ERR_CNI_INTERFACE_EXISTS({
    netns,
    ifName,
    ...(owner && { owner: { network: owner.network, containerId: owner.containerId } }),
  })
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
      // It did nothing: there is nothing to undo.
      if (isCniError(error) && error.details['neverRan']) progress.started--
      throw error
    })
  }
  if (!progress.result) throw badConfig(`network ${network.name}`, 'no plugin configs found')
  return progress.result
}

async function undo(
  context: OperationContext,
  network: NetworkConfigList,
  attachment: Attachment,
  { earlier, before, started, result }: Progress,
  deadlineMs: number,
): Promise<unknown[]> {
  // An attachment that stood before belongs to an earlier ADD: undoing this one would tear that one down.
  if (earlier?.result) return []
  const failures = await withDeadline({ deadlineMs }, async (deadline) => {
    const failures: unknown[] = []
    for (const plugin of network.plugins.slice(0, started).reverse()) {
      // Its DEL takes the interface down, and this ADD did not bring it up.
      if (plugin.type === 'loopback' && before?.up) continue
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
  if (failures.length > 0) return failures
  const removal = await context.cache.remove({ network: network.name, ...attachment }).catch((error) => error)
  return removal === undefined ? [] : [removal]
}
