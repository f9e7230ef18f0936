import { formatSubnet, overlaps, parseSubnet, type Subnet } from './range.ts'

/** What one node leases: a subnet of each family that the network has, at least one. */
export interface PodSubnets {
  readonly ipv4?: Subnet
  readonly ipv6?: Subnet
}

export const subnetsOf = ({ ipv4, ipv6 }: PodSubnets): readonly Subnet[] =>
  [ipv4, ipv6].filter((subnet) => subnet !== undefined)

/** As plugins are told: `10.244.3.0/24`, or `10.244.3.0/24,fd00:244:3::/64`. */
export const podCIDROf = (subnets: PodSubnets) => subnetsOf(subnets).map(formatSubnet).join()

export function parsePodSubnets(podCIDR: string): PodSubnets | undefined {
  const parsed = podCIDR.split(',').map((part) => parseSubnet(part.trim()))
  const [ipv4, ipv6] = ([4, 6] as const).map((family) => parsed.find((one) => one?.family === family))
  const found = { ...(ipv4 ? { ipv4 } : {}), ...(ipv6 ? { ipv6 } : {}) }
  return parsed.length > 0 && subnetsOf(found).length === parsed.length ? found : undefined
}

export const haveInCommon = (one: PodSubnets, other: PodSubnets) =>
  subnetsOf(one).some((mine) => subnetsOf(other).some((theirs) => overlaps(mine, theirs)))

// What flannel writes in the place of an IPv4 subnet where there is none.
const NO_IPV4 = '0.0.0.0-0'

/** The last part of the key of a lease: `10.244.3.0-24`, `10.244.3.0-24&fd00:244:3::-64`, each with `-` for `/`. */
export function keyNameOf({ ipv4, ipv6 }: PodSubnets): string {
  const dashed = (subnet: Subnet) => formatSubnet(subnet).replace('/', '-')
  const first = ipv4 ? dashed(ipv4) : NO_IPV4
  return ipv6 ? `${first}&${dashed(ipv6)}` : first
}

/** Undefined for what names no subnet, host bits among it: nobody would have written that. */
export function parseKeyName(name: string): PodSubnets | undefined {
  const [first = '', second, ...rest] = name.split('&')
  const ipv4 = first === NO_IPV4 ? undefined : exactly(first, 4)
  const ipv6 = second === undefined ? undefined : exactly(second, 6)
  if (rest.length > 0 || (first !== NO_IPV4 && !ipv4) || (second !== undefined && !ipv6)) return undefined
  if (!ipv4 && !ipv6) return undefined
  return { ...(ipv4 ? { ipv4 } : {}), ...(ipv6 ? { ipv6 } : {}) }
}

function exactly(dashed: string, family: 4 | 6): Subnet | undefined {
  const at = dashed.lastIndexOf('-')
  const [address, length] = [dashed.slice(0, at), dashed.slice(at + 1)]
  const subnet = parseSubnet(`${address}/${length}`)
  const isWhole = subnet?.family === family && subnet.prefixLength > 0
  // IPv6 may be written in several ways: what counts is that no host bit is set.
  return isWhole && parseSubnet(`${address}/${family === 4 ? 32 : 128}`)?.first === subnet.first
    ? subnet
    : undefined
}
