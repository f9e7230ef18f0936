import { noUsableAddress, podCidrInvalid } from '../errors.ts'
import {
  addressToNumber,
  type Cidr,
  contains,
  formatCidr,
  type IpFamily,
  numberToAddress,
  parseCidr,
} from './cidr.ts'

/** One family's pod network. */
export interface PodNetwork extends Cidr {
  /** The bridge's address and the pods' gateway: the first one after the network's own. */
  readonly gateway: string
}

/**
 * Parses the pod CIDR of an event: one CIDR, or an IPv4 and an IPv6 one separated by a comma. The first is the primary
 * family's.
 * @throws PodwireError `INVALID_POD_CIDR`
 */
export function parsePodCidrs(text: string): PodNetwork[] {
  const networks = text.split(',').map((part) => parsePodNetwork(part.trim(), text))
  const families = new Set(networks.map(({ family }) => family))
  if (families.size < networks.length) throw podCidrInvalid(text, 'it has two networks of one family')
  return networks
}

function parsePodNetwork(part: string, text: string): PodNetwork {
  const cidr = parseCidr(part)
  if (!cidr) throw podCidrInvalid(text, `"${part}" is no CIDR`)
  // A gateway and a pod at least; IPv4 also gives up its broadcast address.
  if (cidr.last - cidr.first < 3n) throw podCidrInvalid(text, `${part} has no room for a gateway and a pod`)
  return { ...cidr, gateway: numberToAddress(cidr.first + 1n, cidr.family) }
}

/** The addresses a pod may be given on request. @throws PodwireError `ADDRESS_NOT_USABLE` */
export function staticAddresses(
  annotation: string,
  networks: readonly PodNetwork[],
): Partial<Record<IpFamily, string>> {
  const chosen: Partial<Record<IpFamily, string>> = {}
  for (const address of annotation.split(',').map((part) => part.trim())) {
    const network = networks.find((candidate) => contains(candidate, address))
    if (!network)
      throw noUsableAddress(
        address,
        `it is in none of the pod networks ${networks.map(formatCidr).join(', ')}`,
      )
    if (chosen[network.family]) throw noUsableAddress(address, 'one address of each family is enough')
    const value = addressToNumber(address)
    if (value === addressToNumber(network.gateway)) throw noUsableAddress(address, "it is the gateway's")
    if (value === network.first || (network.family === 4 && value === network.last))
      throw noUsableAddress(address, 'it is the first or last of its network')
    chosen[network.family] = numberToAddress(value, network.family)
  }
  return chosen
}
