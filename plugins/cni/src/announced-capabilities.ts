import { Capability, parseCIDR } from '@podwire/api'
import { compareVersions, isObject, type Json, type NetworkConfigList, readKey } from '@podwire/libcni'

/** What a network declares, as a bitset. Other networks can be attached, and garbage collected, by any. */
export function announcedCapabilities(network: NetworkConfigList | undefined): number {
  const always = Capability.gc | Capability.multiNetwork
  if (!network) return always
  const declared = declaredCapabilities(network)
  const canCheck = compareVersions(network.cniVersion, '0.4.0') >= 0 && !network.disableCheck
  return (
    always |
    (declared.has('bandwidth') ? Capability.shaping : 0) |
    (declared.has('portMappings') ? Capability.portMappings : 0) |
    (canCheck ? Capability.check : 0) |
    (isOneFamily(network) ? 0 : Capability.dualStack)
  )
}

/** The capabilities that at least one plugin of the network takes arguments for. */
export function declaredCapabilities({ plugins }: NetworkConfigList): Set<string> {
  return new Set(
    plugins.flatMap(({ capabilities }) =>
      [...capabilities].flatMap(([capability, supported]) => (supported ? [capability] : [])),
    ),
  )
}

/**
 * Whether the configuration itself pins every address to one family. What other IPAM plugins hand out can't be seen
 * from here, so that they count as dual stack.
 */
function isOneFamily(network: NetworkConfigList): boolean {
  if (declaredCapabilities(network).has('ipRanges')) return false
  const subnets = network.plugins.flatMap(({ raw }) => pinnedSubnets(readKey(raw, 'ipam')))
  return new Set(subnets.flatMap((subnet) => parseCIDR(subnet)?.family ?? [])).size === 1
}

// host-local: `subnet`, and `ranges` of lists of objects with `subnet`. static: `addresses` of objects with `address`.
function pinnedSubnets(ipam: Json | undefined): string[] {
  if (!isObject(ipam)) return []
  const listed = [readKey(ipam, 'ranges'), readKey(ipam, 'addresses')].filter(Array.isArray).flat(2)
  return [ipam, ...listed].filter(isObject).flatMap((entry) => {
    const subnet = readKey(entry, 'subnet') ?? readKey(entry, 'address')
    return typeof subnet === 'string' ? [subnet] : []
  })
}
