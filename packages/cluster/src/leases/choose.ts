import { type ClusterNetwork, type FamilyNetwork, networksOf } from '../layout/network.ts'
import { haveInCommon, type PodSubnets, subnetsOf } from '../layout/pod-subnets.ts'
import { type IpFamily, isWithin, overlaps, type Subnet, sizeOf, subnetAt } from '../layout/range.ts'

/** What is known when subnets are chosen. */
export interface Choice {
  readonly network: Pick<ClusterNetwork, 'ipv4' | 'ipv6'>
  /** What is leased or reserved. */
  readonly taken: readonly PodSubnets[]
  /** What was leased once, the longest ended first. */
  readonly used: readonly PodSubnets[]
  /** What this node had before. */
  readonly before?: PodSubnets | undefined
}

/**
 * The subnets for a node, of each family that the network has: those it had before where nobody has them, else such as were never
 * used, else the longest ended. Undefined when none is free.
 */
export function choosePodSubnets(choice: Choice): PodSubnets | undefined {
  const { network, taken, before } = choice
  if (before && fits(before, network) && !taken.some((one) => haveInCommon(one, before))) return before
  const ipv4 = network.ipv4 && chooseSubnet(network.ipv4, 4, choice)
  const ipv6 = network.ipv6 && chooseSubnet(network.ipv6, 6, choice)
  // Both families or none: a pod that is to have two addresses can't be given one.
  if ((network.ipv4 && !ipv4) || (network.ipv6 && !ipv6)) return undefined
  return { ...(ipv4 ? { ipv4 } : {}), ...(ipv6 ? { ipv6 } : {}) }
}

/** Whether a node of this network may have these subnets. */
export function fits(subnets: PodSubnets, network: Choice['network']): boolean {
  const isOf = (subnet: Subnet | undefined, family: FamilyNetwork | undefined) =>
    subnet === undefined || family === undefined
      ? subnet === family
      : subnet.prefixLength === family.subnetLength && isWithin(subnet, family.network)
  return isOf(subnets.ipv4, network.ipv4) && isOf(subnets.ipv6, network.ipv6)
}

function chooseSubnet(network: FamilyNetwork, family: IpFamily, { taken, used }: Choice): Subnet | undefined {
  const ofFamily = (all: readonly PodSubnets[]) =>
    all.flatMap(subnetsOf).filter((subnet) => subnet.family === family)
  const [occupied, ended] = [ofFamily(taken), ofFamily(used)]
  const neverUsed = firstFree(network, family, [...occupied, ...ended])
  if (neverUsed) return neverUsed
  return (
    ended.find(
      (subnet) =>
        subnet.prefixLength === network.subnetLength &&
        network.min.first <= subnet.first &&
        subnet.last <= network.max.last &&
        !occupied.some((one) => overlaps(one, subnet)),
    ) ?? firstFree(network, family, occupied)
  )
}

/** The first subnet that has nothing in common with what is taken. */
function firstFree({ min, max, subnetLength }: FamilyNetwork, family: IpFamily, taken: readonly Subnet[]) {
  const sorted = [...taken].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
  const size = sizeOf(subnetLength, family)
  let first = min.first
  for (const one of sorted) {
    if (one.first >= first + size) break
    // What is taken may be of another length than what is looked for.
    if (one.last >= first) first = subnetAt(one.last, subnetLength, family).first + size
  }
  return first <= max.first ? subnetAt(first, subnetLength, family) : undefined
}

/** For messages. */
export const describeNetwork = (network: Choice['network']) => networksOf(network).join()
