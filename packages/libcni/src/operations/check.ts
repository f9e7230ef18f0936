import { type Network, toNetworkConfigList } from '../config/network-config.ts'
import { errors } from '../errors.ts'
import { callPlugin } from '../invoke/call-plugin.ts'
import type { Attachment } from '../invoke/environment.ts'
import { convertResult } from '../result/convert.ts'
import { atLeast } from '../version.ts'
import { type OperationContext, prepareCall } from './context.ts'

/** Asks every plugin, in order, whether the attachment is still as ADD left it; each gets ADD's final result. */
export async function check(
  context: OperationContext,
  given: Network,
  attachment: Attachment,
): Promise<void> {
  const network = toNetworkConfigList(given)
  if (!atLeast(network.cniVersion, '0.4.0'))
    throw errors.ERR_CNI_CHECK_UNSUPPORTED({ version: network.cniVersion })
  if (network.disableCheck) return
  const cached = await context.cache.read({ network: network.name, ...attachment })
  const prevResult = cached?.result && convertResult(cached.result, network.cniVersion)
  for (const plugin of network.plugins)
    await callPlugin(
      await prepareCall(context, { command: 'CHECK', network, plugin, attachment, prevResult }),
    )
}
