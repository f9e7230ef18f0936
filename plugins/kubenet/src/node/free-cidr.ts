import { parsePodCidrs } from '../ipam/network.ts'
import { openKernel } from '../kernel/kernel.ts'
import { conflictWith } from './conflicts.ts'

// The first is what podman takes too, the others are seldom anybody's.
const candidates = [
  ...Array.from({ length: 40 }, (_, index) => `10.${88 + index}.0.0/16`),
  ...Array.from({ length: 16 }, (_, index) => `172.${16 + index}.0.0/16`),
]

/** A pod CIDR that is in nobody's way on this host: 10.88.0.0/16 where that is free; undefined when none of many is. */
export async function findFreePodCIDR(): Promise<string | undefined> {
  const kernel = openKernel()
  try {
    for (const candidate of candidates)
      if (!(await conflictWith(kernel, parsePodCidrs(candidate), () => false))) return candidate
    return undefined
  } finally {
    kernel.close()
  }
}
