import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { keysOf } from '../../src/layout/keys.ts'
import { formatNodeValue, parseNodeValue } from '../../src/layout/lease-value.ts'
import { formatNetwork, networksOf, parseNetwork } from '../../src/layout/network.ts'
import { keyNameOf, parseKeyName, parsePodSubnets, podCIDROf } from '../../src/layout/pod-subnets.ts'

describe('the network in etcd', () => {
  test("is read as flannel's documentation shows it", () => {
    const value = `{
      "Network": "10.0.0.0/8", "SubnetLen": 20, "SubnetMin": "10.10.0.0", "SubnetMax": "10.99.0.0",
      "Backend": { "Type": "vxlan", "VNI": 7, "Port": 7890 } }`
    const network = parseNetwork(value)
    expect(network).toMatchObject({ backend: { type: 'vxlan', vni: 7, port: 7890, directRouting: false } })
    expect(typeof network === 'string' ? [] : networksOf(network)).toEqual(['10.0.0.0/8'])
  })

  test('means what flannel means where nothing is said', () => {
    const network = parseNetwork('{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}')
    if (typeof network === 'string') throw new Error(network)
    expect(network.backend).toEqual({ type: 'vxlan', vni: 1, port: 8472, directRouting: false })
    expect(podCIDROf({ ipv4: network.ipv4!.min })).toBe('10.244.1.0/24')
    expect(podCIDROf({ ipv4: network.ipv4!.max })).toBe('10.244.255.0/24')
  })

  test('is of both families', () => {
    const network = parseNetwork(
      '{"Network":"10.1.0.0/16","EnableIPv6":true,"IPv6Network":"fd00:1::/48","Backend":{"Type":"host-gw"}}',
    )
    expect(network).toMatchObject({ backend: { type: 'host-gw' }, ipv6: { subnetLength: 64 } })
  })

  test.each([
    ['', 'not JSON'],
    ['[]', 'it'],
    ['{}', 'Network'],
    ['{"Network":"10.0.0.0/8"}', 'Backend.Type is undefined'],
    ['{"Network":"10.0.0.0/8","Backend":{"Type":"udp"}}', '"udp"'],
    ['{"Network":"10.0.0.0/33","Backend":{"Type":"vxlan"}}', 'not an IPv4 CIDR'],
    ['{"Network":"fd00::/48","Backend":{"Type":"vxlan"}}', 'not an IPv4 CIDR'],
    ['{"Network":"10.0.0.0/24","SubnetLen":24,"Backend":{"Type":"vxlan"}}', 'length 24'],
    ['{"Network":"10.0.0.0/16","SubnetLen":31,"Backend":{"Type":"vxlan"}}', 'length 31'],
    ['{"Network":"10.0.0.0/16","SubnetMin":"11.0.0.0","Backend":{"Type":"vxlan"}}', '"11.0.0.0"'],
    [
      '{"Network":"10.0.0.0/16","SubnetMin":"10.0.9.0","SubnetMax":"10.0.8.0","Backend":{"Type":"vxlan"}}',
      'after',
    ],
    ['{"Network":"10.0.0.0/16","Backend":{"Type":"vxlan","VNI":16777216}}', 'VNI'],
    ['{"EnableIPv4":false,"Backend":{"Type":"vxlan"}}', 'neither'],
  ])('%s is refused, with what is wrong', (value, problem) => {
    expect(parseNetwork(value)).toContain(problem)
  })

  test('is read again as it was written', () => {
    const written = formatNetwork({
      network: '10.244.0.0/16',
      ipv6Network: 'fd00:244::/48',
      subnetLength: 25,
      ipv6SubnetLength: 72,
      backend: { type: 'vxlan', vni: 9, port: 4789, directRouting: true },
    })
    expect(parseNetwork(written)).toMatchObject({
      ipv4: { subnetLength: 25 },
      ipv6: { subnetLength: 72 },
      backend: { type: 'vxlan', vni: 9, port: 4789, directRouting: true },
    })
  })
})

describe('the key of a lease', () => {
  test.each([
    ['10.5.52.0-24', '10.5.52.0/24'],
    ['10.5.52.0-24&fd00:5:52::-64', '10.5.52.0/24,fd00:5:52::/64'],
    ['0.0.0.0-0&fd00:5:52::-64', 'fd00:5:52::/64'],
  ])('%s is of %s, and is written so', (name, podCIDR) => {
    const subnets = parseKeyName(name)
    expect(subnets && podCIDROf(subnets)).toBe(podCIDR)
    expect(keyNameOf(parsePodSubnets(podCIDR)!)).toBe(name)
  })

  test.each([
    '',
    '10.5.52.0',
    '10.5.52.1-24',
    '10.5.52.0-33',
    '10.5.52.0-0',
    'fd00::-64',
    '10.5.52.0-24&',
    '0.0.0.0-0',
    '10.5.52.0-24&10.6.0.0-24',
    '10.5.52.0-24/x',
    '10.5.52.0-24&fd00::-64&fd01::-64',
  ])('%j is none', (name) => {
    expect(parseKeyName(name)).toBeUndefined()
  })

  test('is below the prefix, however that ends', () => {
    expect(keysOf('/coreos.com/network/')).toEqual(keysOf('/coreos.com/network'))
    expect(keysOf('/coreos.com/network').config).toBe('/coreos.com/network/config')
  })
})

describe('the value of a lease', () => {
  test("is read as flannel's nodes write it", () => {
    const value =
      '{"PublicIP":"192.0.2.7","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"7E:C5:12:34:56:78"}}'
    expect(parseNodeValue(value)).toEqual({
      publicIP: '192.0.2.7',
      backendType: 'vxlan',
      vtepMac: '7e:c5:12:34:56:78',
    })
    const hostGw =
      '{"PublicIP":"192.0.2.7","PublicIPv6":"2001:db8::7","BackendType":"host-gw","BackendData":null}'
    expect(parseNodeValue(hostGw)).toEqual({
      publicIP: '192.0.2.7',
      publicIPv6: '2001:db8::7',
      backendType: 'host-gw',
    })
  })

  test('has each address in the one spelling of the kernel', () => {
    const read = (address: string) =>
      parseNodeValue(JSON.stringify({ PublicIPv6: address, BackendType: 'vxlan' }))?.publicIPv6
    expect(read('2001:DB8:0::0002')).toBe('2001:db8::2')
    expect(read('0:0::0')).toBeUndefined()
  })

  test('is written so that they read it', () => {
    const node = {
      nodeName: 'a',
      instance: '0f',
      publicIP: '192.0.2.7',
      backendType: 'vxlan',
      vtepMac: '0a:00:00:00:00:01',
    }
    const value = formatNodeValue(node, 3)
    expect(JSON.parse(value)).toMatchObject({
      PublicIP: '192.0.2.7',
      BackendType: 'vxlan',
      BackendData: { VNI: 3, VtepMAC: '0a:00:00:00:00:01' },
    })
    expect(parseNodeValue(value)).toEqual(node)
  })

  test.each([
    '',
    '{',
    'null',
    '[]',
    '7',
    '{}',
    '{"PublicIP":7}',
    '{"PublicIP":"not an address","BackendType":"vxlan"}',
    '{"PublicIP":"192.0.2.7","NodeName":""}',
    '{"PublicIP":"fe80::1%eth0","BackendType":"vxlan"}',
    '{"PublicIP":"127.0.0.1","BackendType":"vxlan"}',
    '{"PublicIP":"224.0.0.1","BackendType":"vxlan"}',
    '{"PublicIP":"255.255.255.255","BackendType":"host-gw"}',
    '{"PublicIPv6":"ff02::1","BackendType":"vxlan"}',
  ])('%j is nothing that can be used', (value) => {
    expect(parseNodeValue(value)).toBeUndefined()
  })

  test.each(['00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', 'x'])(
    '%s is no vxlan link',
    (address) => {
      const value = `{"PublicIP":"192.0.2.7","BackendType":"vxlan","BackendData":{"VtepMAC":"${address}"}}`
      expect(parseNodeValue(value)).toEqual({ publicIP: '192.0.2.7', backendType: 'vxlan' })
    },
  )

  test('whatever is written there, reading it throws nothing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        parseNodeValue(text)
        parseNetwork(text)
        parseKeyName(text)
      }),
    )
  })
})
