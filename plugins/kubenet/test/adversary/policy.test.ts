import { setTimeout as sleep } from 'node:timers/promises'
import type { Policy } from '@podwire/api'
import { expect, it } from 'vitest'
import { sendFrame } from '../support/frames.ts'
import { describeIsolated, run, useMachine } from '../support/machine.ts'
import { datagram, type Ipv4, ipv4, ipv6WithOptions } from './packets.ts'

const own = '0a:58:0a:58:00:03'
const hosts = '0a:58:a9:fe:01:01'
const frame = { from: own, to: hosts }
const EVIL = '10.88.0.3'

/** Port 80 of one server outside, over TCP: all else must fail. Nobody may reach it. */
const policy: Policy = {
  egress: { default: 'deny', allow: [{ cidr: '192.0.2.2/32', ports: [80], protocol: 'tcp' }] },
  ingress: { default: 'deny' },
}

describeIsolated('an adversary in a pod with a policy', () => {
  const machine = useMachine()

  /** `evil` is 10.88.0.3, `victim` 10.88.0.2 with a published port; servers everywhere. */
  async function start(settings: { policy?: Policy }) {
    const outside = await machine.outside()
    await machine.start()
    const published = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }] }
    await machine.pod('victim', published)
    await machine.pod('evil', settings)
    const [host, victim, evil] = await Promise.all([
      machine.peer(),
      machine.peer('victim'),
      machine.peer('evil'),
    ])
    for (const [peer, label] of [
      [outside, 'outside'],
      [host, 'host'],
      [victim, 'victim'],
    ] as const) {
      for (const port of [53, 80, 443, 853]) await peer.serve('tcp', port, label)
      for (const port of [53, 80]) await peer.serve('udp', port, label)
    }
    await evil.serve('tcp', 7000, 'evil')
    return { outside, host, victim, evil }
  }

  type Scene = Awaited<ReturnType<typeof start>>

  const asks: readonly (readonly ['tcp' | 'udp', string, number, string])[] = [
    ['tcp', '192.0.2.2', 443, 'another port of an allowed server'],
    ['udp', '192.0.2.2', 80, 'another protocol of an allowed server and port'],
    ['tcp', '10.99.0.2', 80, 'another server'],
    ['tcp', '2001:db8::2', 80, 'the allowed server by IPv6'],
    ['udp', '2001:db8::2', 80, 'the allowed server by IPv6 and UDP'],
    ['udp', '192.0.2.2', 53, 'DNS of a server of its own'],
    ['tcp', '192.0.2.2', 53, 'DNS over TCP'],
    ['tcp', '192.0.2.2', 853, 'DNS over TLS'],
    ['tcp', '10.99.0.2', 443, 'DNS over HTTPS'],
    ['tcp', '10.88.0.1', 80, 'the host by its address in the network of pods'],
    ['tcp', '192.0.2.1', 80, 'the host by an address outside'],
    ['tcp', '10.99.0.1', 443, 'the host by another address outside'],
    ['udp', '10.88.0.1', 80, 'the host by UDP'],
    ['tcp', 'fd88::1', 80, 'the host by IPv6'],
    ['tcp', '2001:db8::1', 80, 'the host by an IPv6 address outside'],
    ['tcp', '10.88.0.2', 80, 'another pod'],
    ['udp', '10.88.0.2', 80, 'another pod by UDP'],
    ['tcp', 'fd88::2', 80, 'another pod by IPv6'],
    ['tcp', '10.88.0.1', 8080, 'another pod by its published port on the gateway'],
    ['tcp', '192.0.2.1', 8080, 'another pod by its published port outside'],
    ['tcp', '2001:db8::1', 8080, 'another pod by its published port in IPv6'],
  ]

  const half = Buffer.alloc(0)
  const raw: Readonly<Record<string, { readonly counted: string; readonly packets: readonly Ipv4[] }>> = {
    'ICMP, a tunnel': {
      counted: 'ip protocol icmp',
      packets: [{ protocol: 1, payload: Buffer.from('0800f7ff00000000', 'hex') }],
    },
    GRE: { counted: 'ip protocol gre', packets: [{ protocol: 47, payload: Buffer.alloc(16) }] },
    SCTP: { counted: 'ip protocol sctp', packets: [{ protocol: 132, payload: Buffer.alloc(16) }] },
    'a protocol of its own': {
      counted: 'ip protocol 253',
      packets: [{ protocol: 253, payload: Buffer.alloc(16) }],
    },
    'a protocol of its own, and nothing in it': {
      counted: 'ip protocol 254',
      packets: [{ protocol: 254, payload: half }],
    },
    'UDP with IPv4 options': {
      counted: 'udp dport 4001',
      packets: [{ protocol: 17, payload: datagram(4001, 16), options: Buffer.of(1, 1, 1, 0) }],
    },
    'UDP with a tiny TTL': {
      counted: 'udp dport 4002',
      packets: [{ protocol: 17, payload: datagram(4002, 16), ttl: 2 }],
    },
    'UDP in fragments': {
      counted: 'udp dport 4003',
      packets: [
        { protocol: 17, payload: datagram(4003, 32).subarray(0, 16), fragment: { more: true, offset: 0 } },
        { protocol: 17, payload: datagram(4003, 32).subarray(16), fragment: { more: false, offset: 16 } },
      ],
    },
    'UDP in fragments, the last one first': {
      counted: 'udp dport 4004',
      packets: [
        { protocol: 17, payload: datagram(4004, 32).subarray(16), fragment: { more: false, offset: 16 } },
        { protocol: 17, payload: datagram(4004, 32).subarray(0, 16), fragment: { more: true, offset: 0 } },
      ],
    },
    VXLAN: { counted: 'udp dport 4789', packets: [{ protocol: 17, payload: datagram(4789, 32) }] },
  }

  /** What reached the server outside, by the names above. */
  async function sendRaw(): Promise<string[]> {
    const names = Object.keys(raw)
    const outside = machine.netnsOf('outside')
    const nft = (...args: string[]) => run('nsenter', [`--net=${outside}`, 'nft', ...args])
    const rules = Object.values(raw).map(
      ({ counted }, index) => `ip saddr { 192.0.2.1, ${EVIL} } ${counted} counter comment "${index}"`,
    )
    nft('add table inet seen; add chain inet seen c { type filter hook prerouting priority 0; }')
    nft('flush chain inet seen c')
    for (const rule of [...rules, 'meta l4proto udp ip6 nexthdr 60 counter comment "v6"'])
      nft(`add rule inet seen c ${rule}`)
    for (const { packets } of Object.values(raw))
      for (const packet of packets) sendFrame(machine.netnsOf('evil'), ipv4(frame, EVIL, '192.0.2.2', packet))
    sendFrame(machine.netnsOf('evil'), ipv6WithOptions(frame, 'fd88::3', '2001:db8::2', 4005))
    await sleep(500)
    const listed = nft('list', 'chain', 'inet', 'seen', 'c')
    return [...listed.matchAll(/counter packets ([1-9]\d*) .*comment "(\w+)"/g)].map(([, , index]) =>
      index === 'v6' ? 'UDP after IPv6 options' : (names[Number(index)] ?? ''),
    )
  }

  async function reached({ outside, victim, host, evil }: Scene): Promise<string[]> {
    const all = await Promise.all(
      asks.map(async ([protocol, address, port, what]) => {
        const answer = await evil.ask(protocol, address, port, { timeout: 1500 })
        return /^(outside|host|victim) /.test(answer) ? [what] : []
      }),
    )
    const comers = { outside, victim, host }
    const visits = await Promise.all(
      Object.entries(comers).map(async ([who, peer]) =>
        (await peer.ask('tcp', EVIL, 7000, { timeout: 1500 })).startsWith('evil')
          ? [`reached by ${who}`]
          : [],
      ),
    )
    return [...all.flat(), ...visits.flat(), ...(await sendRaw())]
  }

  it('reaches nothing by any of these ways, and by each of them where there is no policy', async () => {
    const scene = await start({ policy })
    expect(await scene.evil.ask('tcp', '192.0.2.2', 80)).toMatch(/^outside/)
    expect(await reached(scene)).toEqual([])
    expect(await scene.evil.ask('tcp', '192.0.2.2', 80)).toMatch(/^outside/)
    await machine.again('evil')
    const names = [
      ...asks.map(([, , , what]) => what),
      ...['outside', 'victim', 'host'].map((who) => `reached by ${who}`),
      ...Object.keys(raw),
      'UDP after IPv6 options',
    ]
    expect((await reached(scene)).sort()).toEqual(names.sort())
  })

  it('gets no packet out by racing the set-up, or changes of its policy', async () => {
    const outside = await machine.outside()
    await outside.listen(4010, '192.0.2.2')
    await machine.start()
    machine.sandbox('evil')
    // It sends before it has a link, and goes on.
    const evil = await machine.peer('evil')
    await evil.spray('192.0.2.2', 4010)
    await machine.pod('evil', { policy })
    for (let change = 0; change < 30; change++)
      await machine.again('evil', {
        policy: { ...policy, egress: { default: 'deny', allow: [{ cidr: `10.1.${change}.0/24` }] } },
      })
    expect(await outside.heard()).toEqual([])
    await machine.again('evil')
    await expect.poll(() => outside.heard().then(({ length }) => length)).toBeGreaterThan(0)
  })
})
