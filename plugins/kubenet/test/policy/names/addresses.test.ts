import { networkInterfaces } from 'node:os'
import { expect, it } from 'vitest'
import { createHostAddresses, kindOfAddress } from '../../../src/policy/names/addresses.ts'
import { addressRecord } from '../../../src/policy/names/upstream-answer.ts'

const kindOf = (address: string) => kindOfAddress(addressRecord(address).rdata)

it.each([
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['0.0.0.0', 'reserved'],
  ['10.0.0.1', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'private'],
  ['169.254.1.1', 'link-local'],
  ['169.254.169.254', 'metadata'],
  ['168.63.129.16', 'metadata'],
  ['100.100.100.200', 'metadata'],
  ['192.0.0.192', 'metadata'],
  ['224.0.0.251', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['240.0.0.1', 'reserved'],
  ['255.255.255.255', 'reserved'],
  ['203.0.113.1', 'reserved'],
  ['::', 'reserved'],
  ['::1', 'loopback'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['::ffff:8.8.8.8', 'reserved'],
  ['::127.0.0.1', 'reserved'],
  ['64:ff9b::7f00:1', 'loopback'],
  ['64:ff9b::a9fe:a9fe', 'metadata'],
  ['64:ff9b:1::1', 'reserved'],
  ['2002:7f00:1::', 'loopback'],
  ['2002:c0a8:101::1', 'private'],
  ['fd00:ec2::254', 'metadata'],
  ['fd20:ce::254', 'metadata'],
  ['fd00::1', 'private'],
  ['fc00::1', 'private'],
  ['fe80::1', 'link-local'],
  ['fec0::1', 'link-local'],
  ['ff02::1', 'multicast'],
  ['2001::1', 'reserved'],
  ['2001:db8::1', 'reserved'],
  ['3fff::1', 'reserved'],
  ['4000::1', 'reserved'],
])('%s is %s', (address, kind) => expect(kindOf(address)).toBe(kind))

it.each([
  '8.8.8.8',
  '11.0.0.1',
  '172.15.255.255',
  '172.32.0.0',
  '100.63.255.255',
  '169.253.0.1',
  '223.255.255.255',
  '2606:4700::1111',
  '2001:4860:4860::8888',
  '64:ff9b::808:808',
])('%s is anyone’s', (address) => expect(kindOf(address)).toBeUndefined())

it('knows the addresses of the host', () => {
  const isOfHost = createHostAddresses()
  for (const { address } of Object.values(networkInterfaces()).flatMap((all) => all ?? []))
    expect(isOfHost(address)).toBe(true)
  expect(isOfHost('8.8.8.8')).toBe(false)
})
