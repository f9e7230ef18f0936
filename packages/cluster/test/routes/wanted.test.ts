import { describe, expect, test } from 'vitest'
import type { NodeValue } from '../../src/layout/lease-value.ts'
import type { Backend } from '../../src/layout/network.ts'
import { parsePodSubnets } from '../../src/layout/pod-subnets.ts'
import { miscomputesChecksums } from '../../src/routes/links.ts'
import { vtepMacOf } from '../../src/routes/vxlan-link.ts'
import { type Peer, wantedFor } from '../../src/routes/wanted.ts'
import { self, underlay } from './node-a.ts'

const peer = (podCIDR: string, node?: Partial<NodeValue>): Peer => ({
  subnets: parsePodSubnets(podCIDR)!,
  ...(node ? { node: { backendType: 'vxlan', ...node } } : {}),
})
const vxlan: Backend = { type: 'vxlan', vni: 1, port: 8472, directRouting: false }
const mac = vtepMacOf('b', 1, 4)

describe('the routes to other nodes', () => {
  test('go by vxlan: a link without learning, a route, a neighbour and a forwarding entry for each', () => {
    const b = peer('10.244.2.0/24', { publicIP: '203.0.113.2', vtepMac: mac })
    const { links, routes, ends, unreachable } = wantedFor(self, [b], vxlan, underlay)
    expect(links).toMatchObject([
      { name: 'podwire.1', mtu: 1450, local: '192.0.2.1', podAddress: '10.244.1.0/32' },
      { name: 'podwire-v6.1', mtu: 1430, local: '2001:db8::1', podAddress: 'fd00:244:1::/128' },
    ])
    expect(routes).toEqual([
      { destination: '10.244.2.0/24', gateway: '10.244.2.0', dev: 'podwire.1', onlink: true },
    ])
    expect(ends).toEqual([
      { dev: 'podwire.1', gateway: '10.244.2.0', lladdr: mac, destination: '203.0.113.2' },
    ])
    expect(unreachable.size).toBe(0)
  })

  test('go straight where both share a link, by host-gw and by DirectRouting', () => {
    const near = { destination: '10.244.2.0/24', gateway: '192.0.2.2', dev: 2, onlink: false }
    const near6 = { destination: 'fd00:244:2::/64', gateway: '2001:db8::2', dev: 2, onlink: false }
    const b = { publicIP: '192.0.2.2', publicIPv6: '2001:db8::2' }
    const cidr = '10.244.2.0/24,fd00:244:2::/64'
    expect(
      wantedFor(self, [peer(cidr, { ...b, backendType: 'host-gw' })], { type: 'host-gw' }, underlay),
    ).toMatchObject({ links: [], routes: [near, near6], ends: [] })
    const direct = { ...vxlan, directRouting: true } as const
    expect(wantedFor(self, [peer(cidr, { ...b, vtepMac: mac })], direct, underlay)).toMatchObject({
      routes: [near, near6],
      ends: [],
    })
    const far = peer('10.244.3.0/24', { publicIP: '203.0.113.3', vtepMac: mac })
    expect(wantedFor(self, [far], direct, underlay).ends).toHaveLength(1)
  })

  test.each([
    [
      'of another backend',
      vxlan,
      { publicIP: '192.0.2.2', backendType: 'host-gw' },
      'its backend is host-gw',
    ],
    ['whose link is not known', vxlan, { publicIP: '192.0.2.2' }, 'MAC address is not known'],
    ['without an address', vxlan, {}, 'IPv4 address is not known'],
    [
      'with the address of this node address',
      vxlan,
      { publicIP: '192.0.2.1', vtepMac: mac },
      "this node's own",
    ],
    [
      'with another address of this node, by vxlan',
      vxlan,
      { publicIP: '192.0.2.77', vtepMac: mac },
      "192.0.2.77 is this node's own",
    ],
    [
      'with another address of this node, by host-gw',
      { type: 'host-gw' } as const,
      { publicIP: '192.0.2.77', backendType: 'host-gw' },
      "192.0.2.77 is this node's own",
    ],
    ['with an address of pods', vxlan, { publicIP: '10.244.3.7', vtepMac: mac }, '10.244.3.7 is one of pods'],
    [
      'beyond a router',
      { type: 'host-gw' } as const,
      { publicIP: '203.0.113.2', backendType: 'host-gw' },
      'not on the link eth0',
    ],
  ])('a node %s is not reached, and it is said why', (_what, backend, node, reason) => {
    const b = peer('10.244.2.0/24', node)
    const { routes, unreachable } = wantedFor(self, [b], backend, underlay)
    expect(routes).toEqual([])
    expect(unreachable.get(b)).toContain(reason)
  })

  test('never lead its own pods elsewhere', () => {
    const node = { publicIP: '203.0.113.2', vtepMac: mac }
    const all = ['10.244.1.0/24', '10.244.0.0/16', '10.244.1.128/25'].map((cidr) => peer(cidr, node))
    expect(wantedFor(self, all, vxlan, underlay).routes).toEqual([])
  })

  test('lead nothing elsewhere that is not of the network, whoever writes it', () => {
    const node = { publicIP: '203.0.113.2', vtepMac: mac }
    const all = ['0.0.0.0/1', '192.0.2.0/24', '10.0.0.0/8', '10.245.0.0/24', '2001:db8::/64'].map((cidr) =>
      peer(cidr, node),
    )
    const { routes, unreachable } = wantedFor(self, all, vxlan, underlay)
    expect(routes).toEqual([])
    expect(unreachable.size).toBe(5)
  })

  test('lead no part of what is one node’s to another one', () => {
    const b = peer('10.244.2.0/24', { publicIP: '203.0.113.2', vtepMac: mac })
    const [half, more] = ['10.244.2.128/25', '10.244.2.0/23'].map((cidr) =>
      peer(cidr, { publicIP: '203.0.113.3', vtepMac: vtepMacOf('c', 1, 4) }),
    )
    const { routes, unreachable } = wantedFor(self, [b, half!, more!], vxlan, underlay)
    expect(routes.map(({ destination }) => destination)).toEqual(['10.244.2.0/24'])
    expect([...unreachable.keys()]).toEqual([half, more])
  })

  test('go to the first of two that say the same', () => {
    const b = peer('10.244.2.0/24', { publicIP: '203.0.113.2', vtepMac: mac })
    const same = peer('10.244.2.0/24,fd00:244:9::/64', {
      publicIP: '203.0.113.3',
      vtepMac: vtepMacOf('c', 1, 4),
    })
    const sameMac = peer('10.244.3.0/24', { publicIP: '203.0.113.4', vtepMac: mac })
    const { routes, ends, unreachable } = wantedFor(self, [b, same, sameMac], vxlan, underlay)
    expect(routes.map(({ destination }) => destination)).toEqual(['10.244.2.0/24'])
    expect(ends.map(({ destination }) => destination)).toEqual(['203.0.113.2'])
    expect([...unreachable.keys()]).toEqual([same, sameMac])
  })

  test('a node keeps its MAC address, of each network and family its own', () => {
    expect(vtepMacOf('a', 1, 4)).toBe(vtepMacOf('a', 1, 4))
    const all = [vtepMacOf('a', 1, 4), vtepMacOf('b', 1, 4), vtepMacOf('a', 2, 4), vtepMacOf('a', 1, 6)]
    expect(new Set(all).size).toBe(4)
    for (const one of all) expect(one).toMatch(/^0a(:[0-9a-f]{2}){5}$/)
  })
})

test.each([
  ['4.18.0-553.el8_10.x86_64', true],
  ['5.4.0-200-generic', true],
  ['5.6.19', true],
  ['5.7.0', false],
  ['6.1.0-28-amd64', false],
])('kernel %s: checksums in vxlan are computed: %s', (kernel, isComputed) => {
  expect(miscomputesChecksums(kernel)).toBe(isComputed)
})
