import { describe, expect, it } from 'vitest'
import { parseRange } from '../../src/ipam/cidr.ts'
import { parsePodCidrs } from '../../src/ipam/network.ts'
import { createPool } from '../../src/ipam/pool.ts'

const pool = (cidr: string, ...excluded: string[]) =>
  createPool(
    parsePodCidrs(cidr)[0]!,
    excluded.map((text) => parseRange(text)!),
  )

function take(from: ReturnType<typeof pool>, count: number): (string | undefined)[] {
  return Array.from({ length: count }, () => {
    const address = from.next()
    if (address) from.markTaken(address)
    return address
  })
}

describe('a pool', () => {
  it('gives every address once, then none: not the gateway, the network, nor the broadcast address', () => {
    expect(take(pool('10.88.0.0/29'), 6)).toEqual([
      '10.88.0.2',
      '10.88.0.3',
      '10.88.0.4',
      '10.88.0.5',
      '10.88.0.6',
      undefined,
    ])
    expect(take(pool('fd88::/126'), 3)).toEqual(['fd88::2', 'fd88::3', undefined])
  })

  it('leaves excluded addresses out, however they overlap or reach beyond it', () => {
    const some = pool(
      '10.88.0.0/28',
      '10.88.0.0-10.88.0.4',
      '10.88.0.3-10.88.0.6',
      '10.88.0.9',
      '10.88.0.12/30',
      'fd88::/64',
    )
    expect(some.size).toBe(4)
    expect(take(some, 5)).toEqual(['10.88.0.7', '10.88.0.8', '10.88.0.10', '10.88.0.11', undefined])
    expect(take(pool('10.88.0.0/29', '10.0.0.0/8'), 1)).toEqual([undefined])
  })

  it('gives an address that was given back only when it has gone round', () => {
    const some = pool('10.88.0.0/29')
    expect(take(some, 2)).toEqual(['10.88.0.2', '10.88.0.3'])
    some.markFree('10.88.0.2')
    expect(take(some, 4)).toEqual(['10.88.0.4', '10.88.0.5', '10.88.0.6', '10.88.0.2'])
  })

  it('goes on after the last one of another process', () => {
    const some = pool('10.88.0.0/29')
    some.continueAfter('10.88.0.5')
    expect(take(some, 2)).toEqual(['10.88.0.6', '10.88.0.2'])
  })

  it('takes no longer in a large network, IPv6 or nearly full', () => {
    const large = pool('10.0.0.0/8', '10.0.0.0-10.255.250.0')
    const begun = performance.now()
    expect(take(large, 1000).every(Boolean)).toBe(true)
    expect(take(pool('fd88::/64'), 10_000).every(Boolean)).toBe(true)
    // Searching from the start each time would take minutes.
    expect(performance.now() - begun).toBeLessThan(15_000)
  })

  it('counts no address that is excluded, though a pod asked for it', () => {
    const some = pool('10.88.0.0/29', '10.88.0.3-10.88.0.6')
    some.markTaken('10.88.0.4')
    expect(take(some, 2)).toEqual(['10.88.0.2', undefined])
  })
})
