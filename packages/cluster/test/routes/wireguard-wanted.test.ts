import { describe, expect, test } from 'vitest'
import type { NodeValue } from '../../src/layout/lease-value.ts'
import { parsePodSubnets } from '../../src/layout/pod-subnets.ts'
import { parseSubnet } from '../../src/layout/range.ts'
import {
  type WireguardBackend,
  type WireguardMode,
  wireguardDefaults,
} from '../../src/layout/wireguard-backend.ts'
import type { Underlay } from '../../src/routes/underlay.ts'
import type { Peer } from '../../src/routes/wanted.ts'
import { wantedByWireguard } from '../../src/routes/wireguard-wanted.ts'
import { self, underlay } from './node-a.ts'

const keyOf = (name: string) => Buffer.alloc(32, name).toString('base64')
const own = { publicKey: keyOf('a'), privateKey: () => keyOf('secret') }
const backend = (
  mode: WireguardMode = 'separate',
  more: Partial<WireguardBackend> = {},
): WireguardBackend => ({
  type: 'wireguard',
  ...wireguardDefaults,
  mode,
  ...more,
})
const peer = (podCIDR: string, name: string, node: Partial<NodeValue> = {}): Peer => ({
  subnets: parsePodSubnets(podCIDR)!,
  node: { backendType: 'wireguard', publicKey: keyOf(name), publicKey6: keyOf(name), ...node },
})
const both = '10.244.2.0/24,fd00:244:2::/64'
const at2 = { publicIP: '203.0.113.2', publicIPv6: '2001:db8:2::2' }
const wanted = (peers: readonly Peer[], by = backend()) => wantedByWireguard(self, peers, by, underlay, own)

describe('the way to other nodes by WireGuard', () => {
  test('is a link for each family, a peer for each node, and a route to its pods', () => {
    const { links, tunnels, routes, ends, unreachable } = wanted([peer(both, 'b', at2)])
    expect(links).toEqual([
      { kind: 'wireguard', name: 'podwire-wg', port: 51_820, mtu: 1420, podAddresses: ['10.244.1.0/32'] },
      {
        kind: 'wireguard',
        name: 'podwire-wg-v6',
        port: 51_821,
        mtu: 1420,
        podAddresses: ['fd00:244:1::/128'],
      },
    ])
    expect(routes).toEqual([
      { destination: '10.244.2.0/24', dev: 'podwire-wg', onlink: false },
      { destination: 'fd00:244:2::/64', dev: 'podwire-wg-v6', onlink: false },
    ])
    expect(tunnels).toMatchObject([
      { name: 'podwire-wg', port: 51_820, keepalive: 0 },
      { name: 'podwire-wg-v6', port: 51_821, keepalive: 0 },
    ])
    expect(tunnels.map(({ peers }) => [...peers])).toEqual([
      [[keyOf('b'), { endpoint: { address: '203.0.113.2', port: 51_820 }, allowedIps: ['10.244.2.0/24'] }]],
      [
        [
          keyOf('b'),
          { endpoint: { address: '2001:db8:2::2', port: 51_821 }, allowedIps: ['fd00:244:2::/64'] },
        ],
      ],
    ])
    expect(ends).toEqual([])
    expect(unreachable.size).toBe(0)
  })

  test('has what all nodes share, and shows no private key to who prints it', () => {
    const presharedKey = keyOf('all')
    const { tunnels } = wanted(
      [peer(both, 'b', at2)],
      backend('auto', { presharedKey, keepalive: 25, port: 7 }),
    )
    expect(tunnels).toMatchObject([{ presharedKey, keepalive: 25, port: 7, key: own }])
    expect(JSON.stringify(tunnels)).not.toContain(own.privateKey())
  })

  test.each<[WireguardMode, Partial<NodeValue>, string, Partial<Underlay>]>([
    ['ipv4', at2, '203.0.113.2', {}],
    ['ipv6', at2, '2001:db8:2::2', {}],
    ['auto', at2, '203.0.113.2', {}],
    ['auto', { publicIP: '203.0.113.2' }, '203.0.113.2', {}],
    ['auto', { publicIPv6: '2001:db8:2::2' }, '2001:db8:2::2', {}],
    ['auto', { ...at2, publicIP: '10.0.0.2' }, '2001:db8:2::2', {}],
    ['auto', { ...at2, publicIP: '192.168.7.2' }, '192.168.7.2', { publicIPv6: 'fd00::1' }],
    ['auto', { publicIP: '172.16.0.2', publicIPv6: 'fd00::2' }, '172.16.0.2', {}],
  ])('is one link for both families, by %s to %o at %s', (mode, node, address, more) => {
    const { links, tunnels, routes } = wantedByWireguard(
      self,
      [peer(both, 'b', node)],
      backend(mode),
      { ...underlay, ...more },
      own,
    )
    expect(links).toMatchObject([{ name: 'podwire-wg', podAddresses: ['10.244.1.0/32', 'fd00:244:1::/128'] }])
    expect(routes.map(({ dev }) => dev)).toEqual(['podwire-wg', 'podwire-wg'])
    expect([...tunnels[0]!.peers.values()]).toEqual([
      { endpoint: { address, port: 51_820 }, allowedIps: ['10.244.2.0/24', 'fd00:244:2::/64'] },
    ])
  })

  test('leaves out the family that this node has no address of', () => {
    const { publicIPv6: _, ...inet } = underlay
    const b = peer(both, 'b', at2)
    const { links, routes, unreachable } = wantedByWireguard(self, [b], backend(), inet, own)
    expect(links.map(({ name }) => name)).toEqual(['podwire-wg'])
    expect(routes.map(({ destination }) => destination)).toEqual(['10.244.2.0/24'])
    expect(unreachable.get(b)).toContain('this node has no IPv6 address')
  })

  const odd = (podCIDR: string, node: Partial<NodeValue> = {}): Peer => {
    const one = peer(podCIDR, 'c', { publicIP: '203.0.113.3', ...node })
    return { ...one, node: JSON.parse(JSON.stringify(one.node)) }
  }
  test.each<[string, Peer, string]>([
    [
      'without a key that can be one',
      odd('10.244.3.0/24', { publicKey: undefined as never }),
      'public key is not known',
    ],
    ["with this node's key", odd('10.244.3.0/24', { publicKey: keyOf('a') }), "key is this node's own"],
    ["with another node's key", odd('10.244.3.0/24', { publicKey: keyOf('b') }), "key is another node's"],
    ["with this node's address", odd('10.244.3.0/24', { publicIP: '192.0.2.1' }), "is this node's own"],
    [
      'at an address of pods',
      odd('10.244.3.0/24', { publicIP: '10.244.2.9' }),
      'address 10.244.2.9 is one of pods',
    ],
    ['of another backend', odd('10.244.3.0/24', { backendType: 'vxlan' }), 'its backend is vxlan'],
    [
      'without an address',
      odd('10.244.3.0/24', { publicIP: undefined as never }),
      'IPv4 address is not known',
    ],
    ['that is nothing', { subnets: parsePodSubnets('10.244.3.0/24')! }, 'is not a lease'],
    ["with this node's pods", odd('10.244.1.128/25'), "this node's own pod CIDR"],
    ["with another node's pods", odd('10.244.2.0/24'), "another lease's"],
    ["with some of another node's pods", odd('10.244.2.64/26'), "another lease's"],
    ["with all of another node's pods", odd('10.244.2.0/23'), "another lease's"],
    ['of no pods', odd('192.0.2.0/24'), 'not of the network'],
    ['of all there is', odd('0.0.0.0/1'), 'not of the network'],
  ])('a lease %s changes nothing, and it is said why', (_what, hostile, reason) => {
    const b = peer(both, 'b', at2)
    const without = wanted([b])
    const found = wanted([b, hostile])
    expect({ ...found, unreachable: new Map() }).toEqual({ ...without, unreachable: new Map() })
    expect(found.unreachable.get(hostile)).toContain(reason)
    expect(found.unreachable.has(b)).toBe(false)
  })

  test('a thousand nodes are computed at once', () => {
    const many = Array.from({ length: 1_000 }, (_, n) =>
      peer(`10.${n >> 8}.${n & 255}.0/24`, `n${n}-`, { publicIP: `203.${n >> 8}.${n & 255}.1` }),
    )
    const wide = { ...self, subnets: parsePodSubnets('11.0.0.0/24')!, networks: [parseSubnet('10.0.0.0/7')!] }
    const began = performance.now()
    const { routes, unreachable } = wantedByWireguard(wide, many, backend(), underlay, own)
    expect(performance.now() - began).toBeLessThan(500)
    expect([routes.length, unreachable.size]).toEqual([1_000, 0])
  })
})
