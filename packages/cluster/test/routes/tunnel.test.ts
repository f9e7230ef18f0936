import type { WireguardDevice } from '@podwire/netlink'
import { describe, expect, test } from 'vitest'
import { compareTunnel, type TunnelState, tunnelState, type WantedTunnel } from '../../src/routes/tunnel.ts'

const [b, c, shared] = ['b', 'c', 'shared'].map((name) => Buffer.alloc(32, name).toString('base64')) as [
  string,
  string,
  string,
]
const key = { publicKey: Buffer.alloc(32, 'a').toString('base64'), privateKey: () => 'private' }
const peerAt = (n: number) => ({
  endpoint: { address: `203.0.113.${n}`, port: 51_820 },
  allowedIps: [`10.244.${n}.0/24`, `fd00:244:${n}::/64`],
})
const wanted = (more: Partial<WantedTunnel> = {}): WantedTunnel => ({
  name: 'podwire-wg',
  port: 51_820,
  key,
  keepalive: 25,
  peers: new Map([
    [b, peerAt(2)],
    [c, peerAt(3)],
  ]),
  ...more,
})
const nothing: TunnelState = { port: 0, peers: new Map() }
const asWanted = compareTunnel(wanted(), nothing).after

describe('what WireGuard should have, compared with what it has', () => {
  test('is all asked for of a link that was just made', () => {
    const { changes, phrases } = compareTunnel(wanted({ presharedKey: shared }), nothing)
    expect(changes).toEqual({
      privateKey: 'private',
      listenPort: 51_820,
      peers: [
        {
          publicKey: b,
          presharedKey: shared,
          persistentKeepalive: 25,
          replaceAllowedIps: true,
          ...peerAt(2),
        },
        {
          publicKey: c,
          presharedKey: shared,
          persistentKeepalive: 25,
          replaceAllowedIps: true,
          ...peerAt(3),
        },
      ],
    })
    expect(phrases).toEqual([
      'set key of link podwire-wg',
      'set port of link podwire-wg',
      'set peer 10.244.2.0/24,fd00:244:2::/64 of link podwire-wg',
      'set peer 10.244.3.0/24,fd00:244:3::/64 of link podwire-wg',
    ])
    expect(JSON.stringify(phrases)).not.toContain('private')
  })

  test('is nothing to ask for where all is there, in whatever order', () => {
    const peers = [...asWanted.peers]
      .reverse()
      .map(([publicKey, peer]): [string, typeof peer] => [
        publicKey,
        { ...peer, allowedIps: [...peer.allowedIps].reverse() },
      ])
    expect(compareTunnel(wanted(), { ...asWanted, peers: new Map(peers) })).toMatchObject({
      changes: undefined,
      phrases: [],
    })
  })

  test('is one peer where one node comes or goes, of which none is told to who has it already', () => {
    const d = Buffer.alloc(32, 'd').toString('base64')
    const peers = new Map([
      [b, peerAt(2)],
      // It has the addresses of the one that went.
      [d, { ...peerAt(3), endpoint: { address: '203.0.113.4', port: 51_820 } }],
    ])
    const { changes, after, phrases } = compareTunnel(wanted({ peers }), asWanted)
    expect(changes).toEqual({
      peers: [
        { publicKey: c, remove: true },
        expect.objectContaining({ publicKey: d, allowedIps: peerAt(3).allowedIps }),
      ],
    })
    expect(phrases).toEqual([
      'delete peer 10.244.3.0/24,fd00:244:3::/64 of link podwire-wg',
      'set peer 10.244.3.0/24,fd00:244:3::/64 of link podwire-wg',
    ])
    expect(compareTunnel(wanted({ peers }), after).changes).toBeUndefined()
  })

  test.each<[string, Partial<WantedTunnel>, object]>([
    ['the port', { port: 7 }, { listenPort: 7 }],
    ['the key', { key: { publicKey: c, privateKey: () => 'other' } }, { privateKey: 'other' }],
  ])('is %s alone where that differs', (_what, more, changes) => {
    expect(compareTunnel(wanted(more), asWanted).changes).toEqual(changes)
  })

  test.each<[string, Partial<WantedTunnel>, object]>([
    ['shares a secret', { presharedKey: shared }, { presharedKey: shared }],
    ['is kept awake more often', { keepalive: 5 }, { persistentKeepalive: 5, presharedKey: null }],
  ])('is each peer anew where it %s, without its endpoint, which may be better known', (_what, more, has) => {
    const { changes } = compareTunnel(wanted(more), asWanted)
    expect(changes?.peers).toMatchObject([has, has])
    for (const peer of changes?.peers ?? []) expect(peer).not.toHaveProperty('endpoint')
  })

  test('is a peer with other addresses, and one at another endpoint', () => {
    const moved = { ...peerAt(2), endpoint: { address: '203.0.113.9', port: 51_820 } }
    const smaller = { ...peerAt(3), allowedIps: ['10.244.3.0/24'] }
    const peers = new Map([
      [b, moved],
      [c, smaller],
    ])
    expect(compareTunnel(wanted({ peers }), asWanted).changes?.peers).toMatchObject([
      { publicKey: b, endpoint: moved.endpoint },
      { publicKey: c, allowedIps: ['10.244.3.0/24'], replaceAllowedIps: true },
    ])
  })
})

describe('what the kernel tells', () => {
  const now = 1_800_000_000_000
  const device = (lastHandshake?: number): WireguardDevice => ({
    index: 7,
    name: 'podwire-wg',
    publicKey: key.publicKey,
    listenPort: 51_820,
    fwmark: 0,
    peers: [b, c].map((publicKey, at) => ({
      publicKey,
      ...peerAt(at + 2),
      // Behind a router that translates.
      endpoint: { address: '198.51.100.7', port: 1_024 + at },
      persistentKeepalive: 25,
      rxBytes: 1,
      txBytes: 1,
      ...(lastHandshake === undefined ? {} : { lastHandshake }),
    })),
  })

  test('of where a peer answers from is left so, while it answers', () => {
    const is = tunnelState(device(now - 120_000), asWanted, now)
    expect(compareTunnel(wanted(), is).changes).toBeUndefined()
  })

  test.each([
    ['no longer answers', now - 200_000],
    ['never answered', undefined],
  ])('of where a peer that %s is said to be is put right', (_what, lastHandshake) => {
    const { changes } = compareTunnel(wanted(), tunnelState(device(lastHandshake), asWanted, now))
    expect(changes?.peers?.map(({ endpoint }) => endpoint)).toEqual([peerAt(2).endpoint, peerAt(3).endpoint])
  })

  test('is taken as it is by a process that does not know it of before', () => {
    const { changes } = compareTunnel(wanted(), tunnelState(device(now), undefined, now))
    expect(changes?.peers).toHaveLength(2)
    expect(changes).not.toHaveProperty('privateKey')
  })
})
