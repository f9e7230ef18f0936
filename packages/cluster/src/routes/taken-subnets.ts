import { overlaps, type Subnet } from '../layout/range.ts'

/** Subnets that are somebody's. */
export interface TakenSubnets {
  add(subnet: Subnet): void
  /** Whether one of them has addresses of this one. */
  overlaps(subnet: Subnet): boolean
}

/** All nodes have subnets of one length, as a rule, so that it is seen without a look at each. */
export function takenSubnets(): TakenSubnets {
  const ofLength = new Map<string, Map<bigint, Subnet>>()

  function overlap(same: ReadonlyMap<bigint, Subnet>, subnet: Subnet): boolean {
    const [sample] = same.values()
    if (sample?.family !== subnet.family) return false
    if (sample.prefixLength > subnet.prefixLength)
      return [...same.values()].some((one) => overlaps(one, subnet))
    const size = sample.last - sample.first + 1n
    return same.has((subnet.first / size) * size)
  }

  return {
    add(subnet) {
      const key = `${subnet.family} ${subnet.prefixLength}`
      ofLength.set(key, (ofLength.get(key) ?? new Map<bigint, Subnet>()).set(subnet.first, subnet))
    },
    overlaps: (subnet) => [...ofLength.values()].some((same) => overlap(same, subnet)),
  }
}
