import { join } from 'node:path'
import { readFileIfThere, writeFileWhole } from '@podwire/api/files'
import { errors } from '../errors.ts'
import { parsePodCidrs } from '../ipam/network.ts'
import { openKernel } from '../kernel/kernel.ts'
import type { Requests } from '../kernel/requests.ts'
import { conflictWith } from './conflicts.ts'

// The first is what podman takes too, the others are seldom anybody's.
const candidates = [
  ...Array.from({ length: 40 }, (_, index) => `10.${88 + index}.0.0/16`),
  ...Array.from({ length: 16 }, (_, index) => `172.${16 + index}.0.0/16`),
]

/** As a pod CIDR: one that is free on this host. */
export const AUTO = 'auto'

/** The pod CIDR that a state directory was given because it was free. */
export interface ChosenCidr {
  /** The one of before, else one that is in nobody's way: 10.88.0.0/16 where that is free. @throws PodwireError `NO_FREE_POD_CIDR` */
  choose(): Promise<string>
  /** Writes it down: from now on it is the host's. */
  keep(): void
}

export function openChosenCidr(kernel: Requests, stateDir: string): ChosenCidr {
  const file = join(stateDir, 'pod-cidr')
  let chosen: string | undefined

  const kept = () => {
    const text = readFileIfThere(file, 64)?.trim() ?? ''
    return candidates.includes(text) ? text : undefined
  }

  return {
    async choose() {
      chosen = kept() ?? (await findFree(kernel))
      if (chosen === undefined) throw errors.NO_FREE_POD_CIDR({ tried: candidates })
      return chosen
    },
    keep() {
      if (chosen !== undefined && kept() !== chosen) writeFileWhole(file, chosen)
    },
  }
}

/** A pod CIDR that is in nobody's way on this host: 10.88.0.0/16 where that is free; undefined when none of many is. */
export async function findFreePodCIDR(): Promise<string | undefined> {
  const kernel = openKernel()
  try {
    return await findFree(kernel)
  } finally {
    kernel.close()
  }
}

async function findFree(kernel: Requests): Promise<string | undefined> {
  for (const candidate of candidates)
    if (!(await conflictWith(kernel, parsePodCidrs(candidate), () => false))) return candidate
  return undefined
}
