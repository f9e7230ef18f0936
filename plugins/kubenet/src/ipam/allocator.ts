import type { PodRef } from '@podwire/api'
import { podKey } from '@podwire/api'
import { addressesExhausted, addressTaken } from '../errors.ts'
import type { PodAddress, Records } from '../records.ts'
import { type AddressRange, contains, formatCidr } from './cidr.ts'
import { type PodNetwork, staticAddresses } from './network.ts'
import { createPool, type Pool } from './pool.ts'

/** Gives out addresses: one of each family for a pod, whoever else gives out of the same networks. */
export interface Allocator {
  readonly networks: readonly PodNetwork[]
  /**
   * Claims an address of each family, or all that the annotation names; `announce` is called with them before they are claimed.
   * @throws PodwireError `ADDRESSES_EXHAUSTED`, `ADDRESS_IN_USE`, `ADDRESS_NOT_USABLE`; then nothing is claimed
   */
  allocate(pod: PodRef, wanted: string | undefined, announce: (addresses: PodAddress[]) => void): PodAddress[]
  release(address: string, sandboxId: string): void
}

export function createAllocator(
  networks: readonly PodNetwork[],
  excluded: readonly AddressRange[],
  records: Records,
): Allocator {
  const pools = networks.map((network) => createPool(network, excluded))
  for (const pool of pools) {
    learn(pool)
    const last = records.lastClaimed(pool.network.family)
    if (last && contains(pool.network, last)) pool.continueAfter(last)
  }

  function learn(pool: Pool) {
    pool.reset(records.claimed().filter((address) => contains(pool.network, address)))
  }

  // Another process may have freed what this one knows as taken: only the directory says that nothing is left.
  function candidate(pool: Pool): string {
    const known = pool.next()
    if (known) return known
    learn(pool)
    const fresh = pool.next()
    if (fresh) return fresh
    throw addressesExhausted(formatCidr(pool.network), pool.size, ownersIn(pool.network))
  }

  function ownersIn(network: PodNetwork): string[] {
    return records
      .list()
      .filter(({ addresses }) => addresses.some(({ address }) => contains(network, address)))
      .map(podKey)
  }

  function describeOwner(address: string): string {
    const sandboxId = records.ownerOf(address)
    const record = sandboxId === undefined ? undefined : records.read(sandboxId)
    return record ? `pod ${podKey(record)}` : `sandbox ${sandboxId}`
  }

  function allocate(pod: PodRef, wanted: string | undefined, announce: (addresses: PodAddress[]) => void) {
    const fixed = wanted === undefined ? {} : staticAddresses(wanted, networks)
    const chosen: PodAddress[] = pools.map((pool) =>
      entry(pool, fixed[pool.network.family] ?? candidate(pool)),
    )
    announce(chosen)
    try {
      for (const [index, pool] of pools.entries()) {
        while (!records.claim(chosen[index]!.address, pod.sandboxId)) {
          const { address } = chosen[index]!
          pool.markTaken(address)
          if (fixed[pool.network.family]) throw addressTaken(address, describeOwner(address))
          chosen[index] = entry(pool, candidate(pool))
          announce(chosen)
        }
        pool.markTaken(chosen[index]!.address)
      }
    } catch (error) {
      for (const { address } of chosen) release(address, pod.sandboxId)
      throw error
    }
    return chosen
  }

  function release(address: string, sandboxId: string) {
    records.release(address, sandboxId)
    if (records.ownerOf(address) !== undefined) return
    for (const pool of pools) if (contains(pool.network, address)) pool.markFree(address)
  }

  return { networks, allocate, release }
}

const entry = ({ network }: Pool, address: string): PodAddress => ({
  address,
  prefixLength: network.prefixLength,
  gateway: network.gateway,
})
