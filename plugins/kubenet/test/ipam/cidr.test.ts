import { describe, expect, it } from 'vitest'
import {
  addressToNumber,
  contains,
  formatCidr,
  mergeRanges,
  numberToAddress,
  parseCidr,
  parseRange,
} from '../../src/ipam/cidr.ts'
import { parsePodCidrs } from '../../src/ipam/network.ts'

describe('addresses as numbers', () => {
  it.each(['0.0.0.0', '10.88.0.7', '255.255.255.255'])('%s comes back from its number', (address) => {
    expect(numberToAddress(addressToNumber(address), 4)).toBe(address)
  })
  it.each(['::', '::1', 'fd88::7', '2001:db8:0:1:1:1:1:1'])('%s comes back from its number', (address) => {
    expect(numberToAddress(addressToNumber(address), 6)).toBe(address)
  })
})

describe('CIDRs and ranges', () => {
  it('cuts host bits off', () => {
    expect(formatCidr(parseCidr('10.88.3.7/16')!)).toBe('10.88.0.0/16')
    expect(formatCidr(parseCidr('fd88::1:2/112')!)).toBe('fd88::1:0/112')
  })

  it.each([
    '',
    '10.88.0.0',
    '10.88.0.0/33',
    '10.88.0/16',
    'fd88::/129',
    'fd88::%eth0/64',
    '10.88.0.0/-1',
    '10.88.0.0/8/8',
  ])('"%s" is not a CIDR', (text) => expect(parseCidr(text)).toBeUndefined())

  it.each(['10.88.0.9-10.88.0.1', '10.88.0.1-fd88::1', '10.88.0.1-', '-', '10.88.0.1-10.88.0.2-10.88.0.3'])(
    '"%s" is not a range',
    (text) => expect(parseRange(text)).toBeUndefined(),
  )

  it('takes an address, a range and a CIDR for ranges', () => {
    const holds = (range: string, address: string) => contains(parseRange(range)!, address)
    expect(holds('10.88.0.7', '10.88.0.7')).toBe(true)
    expect(holds('10.88.0.7', '10.88.0.8')).toBe(false)
    expect(holds('10.88.0.1-10.88.0.9', '10.88.0.9')).toBe(true)
    expect(holds('fd88::/64', 'fd88::ffff')).toBe(true)
    expect(holds('fd88::/64', '10.88.0.1')).toBe(false)
  })

  it('merges what overlaps or touches, as the kernel takes no overlap', () => {
    const ranges = ['10.1.0.0/16', '10.0.0.0/16', '10.0.5.0/24', '10.3.0.0/16', 'fd88::/64'].map(
      (text) => parseRange(text)!,
    )
    expect(
      mergeRanges(ranges, 4).map(({ first, last }) => [numberToAddress(first, 4), numberToAddress(last, 4)]),
    ).toEqual([
      ['10.0.0.0', '10.1.255.255'],
      ['10.3.0.0', '10.3.255.255'],
    ])
  })
})

describe('a pod CIDR', () => {
  it('is one network of each family at most, the gateway its first address', () => {
    const networks = parsePodCidrs('10.88.0.0/16, fd88::/64')
    expect(networks.map(({ gateway }) => gateway)).toEqual(['10.88.0.1', 'fd88::1'])
  })

  it.each(['', 'somewhere', '10.88.0.0/31', 'fd88::/127', '10.88.0.0/16,10.99.0.0/16', '10.88.0.0/16,'])(
    '"%s" is refused',
    (text) =>
      expect(() => parsePodCidrs(text)).toThrow(expect.objectContaining({ code: 'INVALID_POD_CIDR' })),
  )

  it.each([
    ['0.0.0.0/0', /every address there is/],
    ['::/0', /every address there is/],
    ['127.0.0.0/8', /127\.0\.0\.0\/8, which is the host's loopback/],
    ['127.3.0.0/16', /127\.0\.0\.0\/8/],
    ['64.0.0.0/2', /127\.0\.0\.0\/8/],
    ['0.1.0.0/16', /"this network"/],
    ['169.254.7.0/24', /link-local/],
    ['224.0.0.0/8', /multicast/],
    ['255.255.255.0/24', /reserved/],
    ['fe80::/64', /link-local/],
    ['ff05::/64', /multicast/],
    ['::/64', /the host's loopback/],
    ['::ffff:10.88.0.0/112', /IPv4 addresses written as IPv6/],
  ])('"%s" is refused, and says why', (text, why) => {
    expect(() => parsePodCidrs(text)).toThrow(
      expect.objectContaining({ code: 'INVALID_POD_CIDR', message: expect.stringMatching(why) }),
    )
  })
})
