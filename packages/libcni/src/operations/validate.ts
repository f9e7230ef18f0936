import { type Network, toNetworkConfigList } from '../config/network-config.ts'
import { errors, several } from '../errors.ts'
import { findPlugin } from '../invoke/find-plugin.ts'
import { askVersions } from '../invoke/plugin-versions.ts'
import type { OperationContext } from './context.ts'

/** Whether every plugin is there and speaks the configuration's version; the capabilities that they declare, sorted. */
export async function validate(context: OperationContext, given: Network): Promise<string[]> {
  const network = toNetworkConfigList(given)
  const types = [...new Set(network.plugins.map(({ type }) => type))]
  const outcomes = await Promise.allSettled(
    types.map((type) => validatePlugin(context, type, network.cniVersion)),
  )
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  if (failures.length === 1) throw failures[0]
  if (failures.length > 1) throw several(`network ${network.name} is not valid`, failures)
  const declared = network.plugins.flatMap(({ capabilities }) => [...capabilities])
  return [...new Set(declared.filter(([, supported]) => supported).map(([capability]) => capability))].sort()
}

async function validatePlugin(context: OperationContext, type: string, version: string): Promise<void> {
  const path = await findPlugin(type, context.pluginDirectories)
  const { supportedVersions } = await askVersions(type, path, context.deadline)
  if (!supportedVersions.includes(version))
    throw errors.ERR_CNI_VERSION_UNSUPPORTED({ plugin: type, version, supported: supportedVersions })
}
