import { type AddressRange, addressToNumber, numberToAddress } from './cidr.ts'
import type { PodNetwork } from './network.ts'

/** Which addresses of one network are free, and which comes next. */
export interface Pool {
  readonly network: PodNetwork
  /** How many addresses pods may have. */
  readonly size: number
  /** The next address that isn't known to be taken, counting upwards and round; undefined when there is none. */
  next(): string | undefined
  markTaken(address: string): void
  markFree(address: string): void
  /** Forgets all that is known, and begins with these. */
  reset(taken: Iterable<string>): void
  /** Continues after this address, so that one just given back is not given out at once. */
  continueAfter(address: string): void
}

// Of an IPv6 network the first four billion addresses are used: offsets stay plain numbers.
const maxOffset = 2 ** 32

/** @param excluded ranges never given to a pod; the gateway and the network's first and last address never are */
export function createPool(network: PodNetwork, excluded: readonly AddressRange[]): Pool {
  const end = Math.min(Number(network.last - network.first) - (network.family === 4 ? 1 : 0), maxOffset)
  const offsetOf = (address: string) => Number(addressToNumber(address) - network.first)
  const addressAt = (offset: number) => numberToAddress(network.first + BigInt(offset), network.family)
  const holes = holesIn(network, excluded, end)
  const size = end - 1 - holes.reduce((sum, { from, to }) => sum + (to - from + 1), 0)
  const taken = new Set<number>()
  let cursor = 1

  const skipHole = (offset: number) => {
    const hole = holes.find(({ from, to }) => from <= offset && offset <= to)
    return hole ? hole.to + 1 : offset
  }

  function next(): string | undefined {
    if (taken.size >= size) return undefined
    let wraps = 0
    for (let offset = skipHole(cursor + 1); wraps < 2; offset = skipHole(offset + 1)) {
      if (offset > end) {
        wraps++
        offset = 1
        continue
      }
      if (taken.has(offset)) continue
      cursor = offset
      return addressAt(offset)
    }
    return undefined
  }

  return {
    network,
    size,
    next,
    markTaken(address) {
      const offset = offsetOf(address)
      const isCounted = offset >= 2 && offset <= end && skipHole(offset) === offset
      if (isCounted) taken.add(offset)
    },
    markFree: (address) => void taken.delete(offsetOf(address)),
    reset(addresses) {
      taken.clear()
      for (const address of addresses) this.markTaken(address)
    },
    continueAfter(address) {
      const offset = offsetOf(address)
      if (offset >= 1 && offset <= end) cursor = offset
    },
  }
}

/** The excluded ranges as merged spans of offsets, the gateway's offset 1 and below left out. */
function holesIn(network: PodNetwork, excluded: readonly AddressRange[], end: number) {
  const spans = excluded
    .filter(
      ({ family, first, last }) =>
        family === network.family && last >= network.first && first <= network.last,
    )
    .map(({ first, last }) => ({
      from: Math.max(2, Number(first - network.first)),
      to: Math.min(end, Number(last - network.first)),
    }))
    .filter(({ from, to }) => from <= to)
    .sort((a, b) => a.from - b.from)
  const merged: { from: number; to: number }[] = []
  for (const span of spans) {
    const previous = merged.at(-1)
    if (previous && span.from <= previous.to + 1) previous.to = Math.max(previous.to, span.to)
    else merged.push(span)
  }
  return merged
}
