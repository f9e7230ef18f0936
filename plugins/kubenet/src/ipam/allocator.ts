import { type PodRef, podKey } from '@podwire/api'
import { errors } from '../errors.ts'
import { type AddressRange, contains, formatCidr } from './cidr.ts'
import type { Claims } from './claims.ts'
import { type PodNetwork, staticAddresses } from './network.ts'
import { createPool, type Pool } from './pool.ts'

/** One address of a pod, and the way out from it. */
export interface PodAddress {
  readonly address: string
  readonly prefixLength: number
  readonly gateway: string
}

/** Gives out addresses: one of each family for a pod, whoever else gives out of the same networks. */
export interface Allocator {
  /**
   * Claims an address of each family, or all that the annotation names; `announce` is called with them before they are claimed.
   * @throws PodwireError `ADDRESSES_EXHAUSTED`, `ADDRESS_IN_USE`, `ADDRESS_NOT_USABLE`; then nothing is claimed
   */
  allocate(pod: PodRef, wanted: string | undefined, announce: (addresses: PodAddress[]) => void): PodAddress[]
  release(address: string, sandboxId: string): void
  /** Addresses that somebody else has, who claims none: no pod gets them. */
  reserve(addresses: readonly string[]): void
}

/** @param podOf the pod that a sandbox is, to tell whose an address is */
export function createAllocator(
  networks: readonly PodNetwork[],
  excluded: readonly AddressRange[],
  claims: Claims,
  podOf: (sandboxId: string) => PodRef | undefined,
): Allocator {
  const pools = networks.map((network) => createPool(network, excluded))
  let reserved: ReadonlySet<string> = new Set()
  for (const pool of pools) {
    learn(pool)
    const last = claims.lastClaimed(pool.network.family)
    if (last && contains(pool.network, last)) pool.continueAfter(last)
  }

  function learn(pool: Pool) {
    const taken = [...claims.claimed(), ...reserved]
    pool.reset(taken.filter((address) => contains(pool.network, address)))
  }

  // Another process may have freed what this one knows as taken: only the directory says that nothing is left.
  function candidate(pool: Pool): string {
    const known = pool.next()
    if (known) return known
    learn(pool)
    const fresh = pool.next()
    if (fresh) return fresh
    throw errors.ADDRESSES_EXHAUSTED({
      network: formatCidr(pool.network),
      inUse: pool.size,
      owners: ownersIn(pool.network),
    })
  }

  function ownersIn(network: PodNetwork): string[] {
    const taken = claims.claimed().filter((address) => contains(network, address))
    return taken.slice(0, 20).map((address) => describeOwner(address).replace(/^pod /, ''))
  }

  function describeOwner(address: string): string {
    const sandboxId = claims.ownerOf(address)
    const pod = sandboxId ? podOf(sandboxId) : undefined
    return pod ? `pod ${podKey(pod)}` : `sandbox ${sandboxId}`
  }

  function allocate(pod: PodRef, wanted: string | undefined, announce: (addresses: PodAddress[]) => void) {
    const fixed = wanted === undefined ? {} : staticAddresses(wanted, networks)
    for (const address of Object.values(fixed))
      if (reserved.has(address))
        throw errors.ADDRESS_IN_USE({ address, owner: 'something else on the network of the pods' })
    const chosen: PodAddress[] = pools.map((pool) =>
      entry(pool, fixed[pool.network.family] ?? candidate(pool)),
    )
    announce(chosen)
    try {
      for (const [index, pool] of pools.entries()) {
        while (!claims.claim(chosen[index]!.address, pod.sandboxId)) {
          const { address } = chosen[index]!
          pool.markTaken(address)
          if (fixed[pool.network.family])
            throw errors.ADDRESS_IN_USE({ address, owner: describeOwner(address) })
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
    claims.release(address, sandboxId)
    if (reserved.has(address) || claims.ownerOf(address) !== undefined) return
    for (const pool of pools) if (contains(pool.network, address)) pool.markFree(address)
  }

  function reserve(addresses: readonly string[]) {
    const foreign = addresses.filter((address) => claims.ownerOf(address) === undefined)
    if (foreign.length === reserved.size && foreign.every((address) => reserved.has(address))) return
    reserved = new Set(foreign)
    for (const pool of pools) learn(pool)
  }

  return { allocate, release, reserve }
}

const entry = ({ network }: Pool, address: string): PodAddress => ({
  address,
  prefixLength: network.prefixLength,
  gateway: network.gateway,
})
