import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ClusterNetwork, parseNetwork } from '../../src/layout/network.ts'
import { haveInCommon, type PodSubnets, parsePodSubnets, podCIDROf } from '../../src/layout/pod-subnets.ts'
import { choosePodSubnets, fits } from '../../src/leases/choose.ts'

const networkOf = (json: object) =>
  parseNetwork(JSON.stringify({ ...json, Backend: { Type: 'vxlan' } })) as ClusterNetwork // each is right
const small = networkOf({ Network: '10.244.0.0/22' })
const dual = networkOf({ Network: '10.244.0.0/22', EnableIPv6: true, IPv6Network: 'fd00:244::/62' })
const subnets = (...all: string[]) => all.map((one) => parsePodSubnets(one)!)

function choose(network: ClusterNetwork, taken: string[] = [], used: string[] = [], before?: string) {
  const chosen = choosePodSubnets({
    network,
    taken: subnets(...taken),
    used: subnets(...used),
    before: before === undefined ? undefined : parsePodSubnets(before),
  })
  return chosen && podCIDROf(chosen)
}

describe('the subnets of a node', () => {
  test('are those it had before, where nobody has them', () => {
    expect(choose(small, [], ['10.244.2.0/24'], '10.244.2.0/24')).toBe('10.244.2.0/24')
    expect(choose(small, ['10.244.2.0/24'], [], '10.244.2.0/24')).toBe('10.244.1.0/24')
    // Of another length, of another network, of one family where there are two.
    expect(choose(small, [], [], '10.244.2.0/25')).toBe('10.244.1.0/24')
    expect(choose(small, [], [], '10.245.2.0/24')).toBe('10.244.1.0/24')
    expect(choose(dual, [], [], '10.244.2.0/24')).toBe('10.244.1.0/24,fd00:244:0:1::/64')
  })

  test('else were never used, else ended longest ago', () => {
    expect(choose(small)).toBe('10.244.1.0/24')
    expect(choose(small, ['10.244.1.0/24'], ['10.244.2.0/24'])).toBe('10.244.3.0/24')
    expect(choose(small, ['10.244.1.0/24'], ['10.244.3.0/24', '10.244.2.0/24'])).toBe('10.244.3.0/24')
  })

  test('have nothing in common with what is leased or reserved, of whatever length', () => {
    expect(choose(small, ['10.244.0.0/23', '10.244.2.128/25'])).toBe('10.244.3.0/24')
    expect(choose(small, ['10.244.0.0/16'])).toBeUndefined()
  })

  test('are of both families or none', () => {
    expect(choose(dual)).toBe('10.244.1.0/24,fd00:244:0:1::/64')
    expect(choose(dual, ['10.244.1.0/24'])).toBe('10.244.2.0/24,fd00:244:0:1::/64')
    expect(choose(dual, ['fd00:244::/62'])).toBeUndefined()
  })

  test('are within the bounds of the network', () => {
    const bounded = networkOf({
      Network: '10.244.0.0/16',
      SubnetMin: '10.244.10.0',
      SubnetMax: '10.244.11.0',
    })
    expect(choose(bounded)).toBe('10.244.10.0/24')
    expect(choose(bounded, ['10.244.10.0/24', '10.244.11.0/24'])).toBeUndefined()
  })

  test('are found at once in a large network', () => {
    const large = networkOf({ EnableIPv4: false, EnableIPv6: true, IPv6Network: 'fd00::/16' })
    expect(choose(large)).toBe('fd00:0:0:1::/64')
  })

  test('whatever is taken: free, of the network, and none only where none is', () => {
    const part = fc.tuple(fc.integer({ min: 0, max: 1023 }), fc.integer({ min: 22, max: 30 }))
    const cidr = part.map(([at, length]) => `10.244.${at >> 8}.${at & 255}/${length}`)
    fc.assert(
      fc.property(fc.array(cidr, { maxLength: 8 }), fc.array(cidr, { maxLength: 4 }), (taken, used) => {
        const all = subnets(...taken)
        const chosen = choosePodSubnets({ network: small, taken: all, used: subnets(...used) })
        const isFree = (one: PodSubnets) => !all.some((other) => haveInCommon(other, one))
        if (chosen) {
          expect(isFree(chosen)).toBe(true)
          expect(fits(chosen, small)).toBe(true)
        } else {
          expect(subnets('10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24').some(isFree)).toBe(false)
        }
      }),
    )
  })
})
