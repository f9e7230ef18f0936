import { type Network, toNetworkConfigList } from '../config/network-config.ts'
import { callPlugin } from '../invoke/call-plugin.ts'
import { atLeast } from '../version.ts'
import { type OperationContext, prepareCall } from './context.ts'

/** Asks each plugin, in order, whether it could serve an ADD now. Before 1.1.0 nobody can be asked. */
export async function status(context: OperationContext, given: Network): Promise<void> {
  const network = toNetworkConfigList(given)
  if (!atLeast(network.cniVersion, '1.1.0')) return
  for (const plugin of network.plugins)
    await callPlugin(await prepareCall(context, { command: 'STATUS', network, plugin }))
}
