import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { families, isWireguardKey, NETLINK_GENERIC, type Request, wireguard } from '../../src/index.ts'
import { listAttributes } from '../../src/wire/attributes.ts'
import type { Message } from '../../src/wire/message.ts'

const scope = { index: () => 0, netnsFd: () => 0 }
const family = { name: 'wireguard', id: 32, version: 1 }
const hexOf = (request: Request<unknown> | undefined) => Buffer.from(request!.body(scope)).toString('hex')
const message = (hex: string): Message => ({
  type: family.id,
  flags: 2,
  seq: 1,
  body: Buffer.from(hex, 'hex'),
})
/** Bytes counted up from the first, as the keys here are. */
const counted = (first: number) => Buffer.from(Array.from({ length: 32 }, (_, at) => first + at))
const [privateKey, presharedKey, one, other] = [0x01, 0x20, 0x40, 0x60].map((first) =>
  counted(first).toString('base64'),
) as [string, string, string, string]

// Each attribute: length and type in the machine's byte order, then its value. These are what wg(8) 1.0.20210914 and Linux 6.1 say.
const key = (type: string, first: number) => `2400${type}00${counted(first).toString('hex')}`
const answerOfController =
  '010200000e00020077697265677561726400000006000100200000000800030001000000080004000000000008000500080000002c' +
  '000600140001000800010000000000080002001c000000140002000800010001000000080002001a000000'

describe('a family of generic netlink', () => {
  it('is asked for by name, as the kernel reads it', () => {
    const request = families.get('wireguard')
    expect(request).toMatchObject({ protocol: NETLINK_GENERIC, type: 16 })
    expect(hexOf(request)).toBe('030100000e000200776972656775617264000000')
  })

  it('is read as the kernel tells it', () => {
    expect(families.get('wireguard').parse([message(answerOfController)], scope)).toEqual(family)
  })

  it.each(['', 'sixteen-letters-', 'a\0b'])('%j is no name of one', (name) => {
    expect(() => families.get(name)).toThrow(expect.objectContaining({ code: 'ERR_NETLINK_ARGUMENT' }))
  })

  it.each([[[]], [[message('01020000')]], [[message(answerOfController.slice(0, 40))]]])(
    'is not made up where the answer lacks it',
    (messages) => {
      expect(() => families.get('wireguard').parse(messages, scope)).toThrow(
        expect.objectContaining({ code: 'ERR_NETLINK_MALFORMED' }),
      )
    },
  )
})

describe('WireGuard of a link', () => {
  it('is set by the bytes that wg sends for the same', () => {
    const requests = wireguard.set(family, 'wg0', {
      privateKey,
      listenPort: 51_820,
      fwmark: 7,
      peers: [
        {
          publicKey: one,
          presharedKey,
          endpoint: { address: '192.0.2.2', port: 51_820 },
          persistentKeepalive: 25,
          replaceAllowedIps: true,
          allowedIps: ['10.244.2.0/24', 'fd00:244:2::/64'],
        },
        {
          publicKey: other,
          endpoint: { address: '2001:db8::3', port: 51_821 },
          replaceAllowedIps: true,
          allowedIps: ['10.244.3.0/24'],
        },
      ],
    })
    expect(requests).toHaveLength(1)
    expect(requests[0]).toMatchObject({ protocol: NETLINK_GENERIC, type: 32 })
    expect(hexOf(requests[0])).toBe(
      `0101000008000200${'77673000'}${key('03', 0x01)}060006006cca00000800070007000000` +
        `2c010880${'b8000080'}${key('01', 0x40)}${key('02', 0x20)}` +
        `14000400${'0200ca6cc00002020000000000000000'}0600050019000000${'0800030002000000'}` +
        `48000980${'1c000080'}06000100020000000800020${'00af40200'}0500030018000000` +
        `${'28000080'}060001000a00000014000200${'fd000244000200000000000000000000'}0500030040000000` +
        `${'70000080'}${key('01', 0x60)}20000400${'0a00ca6d0000000020010db800000000000000000000000300000000'}` +
        `${'0800030002000000'}20000980${'1c000080'}0600010002000000080002000af403000500030018000000`,
    )
  })

  it('loses a peer by the bytes that wg sends for it', () => {
    const [request] = wireguard.set(family, 'wg0', { peers: [{ publicKey: other, remove: true }] })
    expect(hexOf(request)).toBe(
      `0101000008000200${'77673000'}34000880${'30000080'}${key('01', 0x60)}${'0800030001000000'}`,
    )
  })

  it('is named by index too, and loses keys and peers', () => {
    const [request, ...more] = wireguard.set(family, 7, {
      privateKey: null,
      replacePeers: true,
      peers: [{ publicKey: one, presharedKey: null, updateOnly: true }],
    })
    const none = '00'.repeat(32)
    expect(hexOf(request)).toBe(
      `01010000${'0800010007000000'}24000300${none}${'0800050001000000'}` +
        `58000880${'54000080'}${key('01', 0x40)}24000200${none}${'0800030004000000'}`,
    )
    expect(more).toEqual([])
    expect(wireguard.set(family, 7, {}).map(hexOf)).toEqual(['010100000800010007000000'])
  })

  it('is asked for by the bytes that wg sends, and read as the kernel tells it', () => {
    const request = wireguard.get(family, 'wg0')
    expect(hexOf(request)).toBe('000100000800020077673000')
    const told =
      '00010000060006006cca00000800070007000000080001000200000008000200776730002400030000020304050607' +
      '08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f602400040007a37cbc142093c8b755dc1b10e86cb42637' +
      '4ad16aa853ed0bdfc0b2b86d1c7cb0010880e400008024000100404142434445464748494a4b4c4d4e4f5051525354' +
      '55565758595a5b5c5d5e5f24000200202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f' +
      '140006000000000000000000000000000000000006000500190000000c00080000000000000000000c000700000000' +
      '000000000008000a0001000000140004000200ca6cc00002020000000000000000480009801c000080050003001800' +
      '00000600010002000000080002000af40200280000800500030040000000060001000a00000014000200fd00024400' +
      '0200000000000000000000c800008024000100606162636465666768696a6b6c6d6e6f707172737475767778797a7b' +
      '7c7d7e7f24000200000000000000000000000000000000000000000000000000000000000000000014000600000000' +
      '0000000000000000000000000006000500000000000c00080000000000000000000c00070000000000000000000800' +
      '0a0001000000200004000a00ca6d0000000020010db800000000000000000000000300000000200009801c00008005' +
      '000300180000000600010002000000080002000af40300'
    const device = request.parse([message(told)], scope)
    const traffic = { rxBytes: 0, txBytes: 0 }
    expect(device).toEqual({
      index: 2,
      name: 'wg0',
      publicKey: 'B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=',
      listenPort: 51_820,
      fwmark: 7,
      peers: [
        {
          publicKey: one,
          presharedKey,
          endpoint: { address: '192.0.2.2', port: 51_820 },
          persistentKeepalive: 25,
          ...traffic,
          allowedIps: ['10.244.2.0/24', 'fd00:244:2::/64'],
        },
        {
          publicKey: other,
          endpoint: { address: '2001:db8::3', port: 51_821 },
          persistentKeepalive: 0,
          ...traffic,
          allowedIps: ['10.244.3.0/24'],
        },
      ],
    })
    // The kernel tells the private key to who may know it; who prints what was read does not print that.
    expect(JSON.stringify(device)).not.toContain(privateKey.slice(4, 30))
  })

  it('has the peers of all messages, and of one that goes on all its allowed IPs', () => {
    const parts = [
      { publicKey: one, allowedIps: ['10.0.0.0/32'], persistentKeepalive: 5 },
      { publicKey: one, allowedIps: ['10.0.0.1/32'] },
      { publicKey: other, allowedIps: ['10.0.0.2/32'] },
    ]
    const messages = parts.map((peer) => message(hexOf(wireguard.set(family, 'wg0', { peers: [peer] })[0])))
    expect(wireguard.get(family, 'wg0').parse(messages, scope)).toMatchObject({
      name: 'wg0',
      peers: [
        { publicKey: one, allowedIps: ['10.0.0.0/32', '10.0.0.1/32'], persistentKeepalive: 5 },
        { publicKey: other, allowedIps: ['10.0.0.2/32'] },
      ],
    })
  })

  it('has the time of the last handshake, and what went to and fro', () => {
    const counters = '0c00070001000000000000000c0008000002000000000000'
    const time = `14000600${'0065cd1d00000000'}${'00e1f50500000000'}`
    const peer = `${key('01', 0x40)}${time}${counters}`
    const list = `${(peer.length / 2 + 4).toString(16)}000080${peer}`
    const told = `00010000${(list.length / 2 + 4).toString(16)}000880${list}`
    expect(wireguard.get(family, 'wg0').parse([message(told)], scope).peers).toEqual([
      {
        publicKey: one,
        lastHandshake: 500_000_000_100,
        rxBytes: 1,
        txBytes: 512,
        persistentKeepalive: 0,
        allowedIps: [],
      },
    ])
  })
})

describe('more than a message holds', () => {
  const keyOf = (at: number) => Buffer.alloc(32, at.toString(36).padStart(8, '0')).toString('base64')
  const read = (requests: readonly Request<unknown>[]) =>
    wireguard.get(family, 'wg0').parse(
      requests.map((request) => message(hexOf(request))),
      scope,
    )

  it('is several, each within bounds, and what is said of the link is in the first alone', () => {
    const peers = Array.from({ length: 2_000 }, (_, at) => ({
      publicKey: keyOf(at),
      endpoint: { address: `198.51.${at >> 8}.${at & 255}`, port: 51_820 },
      replaceAllowedIps: true,
      allowedIps: [`10.${at >> 8}.${at & 255}.0/24`],
    }))
    const requests = wireguard.set(family, 'wg0', { privateKey, replacePeers: true, peers })
    expect(requests.length).toBeGreaterThan(4)
    for (const [at, request] of requests.entries()) {
      const body = Buffer.from(request.body(scope))
      expect(body.length).toBeLessThan(40_000)
      // Interface name and peers; in the first also private key and flags.
      expect(listAttributes(body, 4).map(([type]) => type)).toEqual(at === 0 ? [2, 3, 5, 8] : [2, 8])
    }
    expect(read(requests).peers.map(({ publicKey, allowedIps }) => ({ publicKey, allowedIps }))).toEqual(
      peers.map(({ publicKey, allowedIps }) => ({ publicKey, allowedIps })),
    )
  })

  it('of one peer goes on in the next, where nothing of it is replaced', () => {
    const allowedIps = Array.from({ length: 4_000 }, (_, at) => `10.1.${at >> 8}.${at & 255}/32`)
    const peer = { publicKey: one, presharedKey, updateOnly: true, replaceAllowedIps: true, allowedIps }
    const requests = wireguard.set(family, 'wg0', { peers: [peer, { publicKey: other, remove: true }] })
    const partsOf = (request: Request<unknown>) => {
      const [, list] = listAttributes(Buffer.from(request.body(scope)), 4).at(-1)!
      return listAttributes(list).map(([, part]) =>
        Object.fromEntries(listAttributes(part).filter(([type]) => type !== 9)),
      )
    }
    const [first, ...more] = requests.map(partsOf)
    expect(first).toEqual([{ 1: counted(0x40), 2: counted(0x20), 3: Buffer.of(6, 0, 0, 0) }])
    expect(more.length).toBeGreaterThan(2)
    // A peer that is not there is not made by what comes after either.
    for (const [part] of more) expect(part).toEqual({ 1: counted(0x40), 3: Buffer.of(4, 0, 0, 0) })
    expect(more.at(-1)).toHaveLength(2)
    expect(read(requests).peers[0]?.allowedIps).toEqual(allowedIps)
  })

  it('whatever the peers are, they are read as they were written', () => {
    const ip = fc
      .tuple(fc.nat(255), fc.nat(255), fc.nat(32))
      .map(([a, b, length]) => `10.${a}.${b}.0/${length}`)
    const peer = fc.record({
      publicKey: fc
        .uint8Array({ minLength: 32, maxLength: 32 })
        .map((bytes) => Buffer.from(bytes).toString('base64')),
      allowedIps: fc.array(ip, { maxLength: 3_000 }),
    })
    const lists = fc.uniqueArray(peer, { selector: ({ publicKey }) => publicKey, maxLength: 8 })
    fc.assert(
      fc.property(lists, (peers) => {
        const found = read(wireguard.set(family, 'wg0', { peers })).peers
        expect(found.map(({ publicKey, allowedIps }) => ({ publicKey, allowedIps }))).toEqual(peers)
      }),
      { numRuns: 30 },
    )
  })
})

describe('what can not be right', () => {
  it.each([
    '',
    'AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==',
    'AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=',
    'AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA',
    ' AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=',
    'AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh',
    'AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy-=',
  ])('%j is no key', (text) => {
    expect(isWireguardKey(text)).toBe(false)
  })

  it('a key of one spelling is one', () => {
    for (const text of [privateKey, presharedKey, one, other]) expect(isWireguardKey(text)).toBe(true)
  })

  it.each<[string, Parameters<typeof wireguard.set>[2]]>([
    ['a private key', { privateKey: `${privateKey}x` }],
    ['a preshared key', { peers: [{ publicKey: one, presharedKey: `${privateKey}x` }] }],
  ])('%s is refused, and not shown', (_what, changes) => {
    expect(() => wireguard.set(family, 'wg0', changes)).toThrow(
      expect.objectContaining({
        code: 'ERR_NETLINK_ARGUMENT',
        message: expect.stringContaining('45 characters'),
      }),
    )
    try {
      wireguard.set(family, 'wg0', changes)
    } catch (error) {
      expect(JSON.stringify(error) + String(error)).not.toContain(privateKey)
    }
  })

  it.each<[string, Parameters<typeof wireguard.set>[2]]>([
    ['a port', { listenPort: 65_536 }],
    ['an endpoint', { peers: [{ publicKey: one, endpoint: { address: 'fe80::1%eth0', port: 1 } }] }],
    ['the port of one', { peers: [{ publicKey: one, endpoint: { address: '192.0.2.1', port: -1 } }] }],
    ['an interval', { peers: [{ publicKey: one, persistentKeepalive: 0.5 }] }],
    ['an allowed IP', { peers: [{ publicKey: one, allowedIps: ['10.0.0.0/33'] }] }],
    ['a public key', { peers: [{ publicKey: 'x' }] }],
  ])('%s is refused', (_what, changes) => {
    expect(() => wireguard.set(family, 'wg0', changes)).toThrow(
      expect.objectContaining({ code: 'ERR_NETLINK_ARGUMENT' }),
    )
  })

  it('answers with any bytes in them are read or refused', () => {
    const body = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes))
    fc.assert(
      fc.property(fc.array(body, { maxLength: 3 }), (bodies) => {
        try {
          wireguard.get(family, 'wg0').parse(
            bodies.map((bytes) => ({ ...message(''), body: bytes })),
            scope,
          )
        } catch (error) {
          if ((error as { code?: string }).code !== 'ERR_NETLINK_MALFORMED') throw error
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
