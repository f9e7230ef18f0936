import { errors } from '../errors.ts'
import {
  type AddressRange,
  addressToNumber,
  type Cidr,
  contains,
  formatCidr,
  type IpFamily,
  numberToAddress,
  overlaps,
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
export function parsePodCidrs(podCidr: string): PodNetwork[] {
  const networks = podCidr.split(',').map((part) => parsePodNetwork(part.trim(), podCidr))
  const families = new Set(networks.map(({ family }) => family))
  if (families.size < networks.length)
    throw errors.INVALID_POD_CIDR({ podCidr, reason: 'it has two networks of one family' })
  return networks
}

function parsePodNetwork(part: string, podCidr: string): PodNetwork {
  const refuse = (reason: string) => errors.INVALID_POD_CIDR({ podCidr, reason })
  const cidr = parseCidr(part)
  if (!cidr) throw refuse(`"${part}" is not a CIDR`)
  if (cidr.prefixLength === 0) throw refuse(`${part} is every address there is`)
  const [special, purpose] = specialRanges.find(([range]) => isOverlapping(range, cidr)) ?? []
  if (special) throw refuse(`${part} overlaps ${special}, which is ${purpose}`)
  // A gateway and a pod at least; IPv4 also gives up its broadcast address.
  if (cidr.last - cidr.first < 3n) throw refuse(`${part} has no room for a gateway and a pod`)
  return { ...cidr, gateway: numberToAddress(cidr.first + 1n, cidr.family) }
}

// RFC 6890 and 4291: what no router passes on, or means something else.
const specialRanges: readonly (readonly [range: string, purpose: string])[] = [
  ['0.0.0.0/8', '"this network"'],
  ['127.0.0.0/8', "the host's loopback"],
  ['169.254.0.0/16', 'link-local'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
  ['::/127', "the host's loopback"],
  ['::ffff:0:0/96', 'IPv4 addresses written as IPv6'],
  ['fe80::/10', 'link-local'],
  ['ff00::/8', 'multicast'],
]

// Only those of its family are parsed: Node's test of an IPv6 address takes milliseconds to compile, and few pods have one.
function isOverlapping(text: string, cidr: Cidr): boolean {
  const range = text.includes(':') === (cidr.family === 6) ? parseCidr(text) : undefined
  return range !== undefined && overlaps(range, cidr)
}

/** The addresses a pod may be given on request. @throws PodwireError `ADDRESS_NOT_USABLE` */
export function staticAddresses(
  annotation: string,
  networks: readonly PodNetwork[],
): Partial<Record<IpFamily, string>> {
  const chosen: Partial<Record<IpFamily, string>> = {}
  for (const address of annotation.split(',').map((part) => part.trim())) {
    const refuse = (reason: string) => errors.ADDRESS_NOT_USABLE({ address, reason })
    const network = networks.find((candidate) => contains(candidate, address))
    if (!network) throw refuse(`it is in none of the pod networks ${networks.map(formatCidr).join(', ')}`)
    if (chosen[network.family]) throw refuse('one address of each family is enough')
    const value = addressToNumber(address)
    if (value === addressToNumber(network.gateway)) throw refuse("it is the gateway's")
    if (value === network.first || (network.family === 4 && value === network.last))
      throw refuse('it is the first or last of its network')
    chosen[network.family] = numberToAddress(value, network.family)
  }
  return chosen
}

/**
 * The destinations that see pods' own addresses; undefined: all, as of 0.0.0.0/0 and ::/0.
 * @throws PodwireError `INVALID_NON_MASQUERADE_CIDR`
 */
export function parseDirectRanges(nonMasqueradeCIDR: string): AddressRange[] | undefined {
  const parts = nonMasqueradeCIDR.split(',').map((part) => part.trim())
  const ranges = parts.filter(Boolean).map((part) => {
    const cidr = parseCidr(part)
    if (!cidr) throw errors.INVALID_NON_MASQUERADE_CIDR({ nonMasqueradeCIDR })
    return cidr
  })
  return ranges.some(({ prefixLength }) => prefixLength === 0) ? undefined : ranges
}
