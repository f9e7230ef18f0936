import { datagram, type Ipv4, ipv4, ipv6, ipv6Fragments, segment, withChecksum } from './packets.ts'

const own = '0a:58:0a:58:00:03'
const hosts = '0a:58:a9:fe:01:01'
const frame = { from: own, to: hosts }
export const EVIL = '10.88.0.3'

/** What is counted where it should not arrive, and what is sent. */
type Attack = readonly [counted: string, ...frames: readonly Buffer[]]
export const OUTSIDE = '192.0.2.2'
const [EVIL6, OUTSIDE6] = ['fd88::3', '2001:db8::2']
const [HOST, HOST6] = ['10.88.0.1', 'fd88::1']
const v4 = (counted: string, ...packets: readonly Ipv4[]): Attack => [
  `ip saddr { 192.0.2.1, ${EVIL} } ${counted}`,
  ...packets.map((packet) => ipv4(frame, EVIL, OUTSIDE, packet)),
]
const toHost4 = (counted: string, packet: Ipv4): Attack => [
  `ip saddr ${EVIL} ${counted}`,
  ipv4(frame, EVIL, HOST, packet),
]
const toHost6 = (counted: string, protocol: number, payload: Buffer): Attack => [
  `ip6 saddr ${EVIL6} ${counted}`,
  ipv6(frame, EVIL6, HOST6, protocol, payload),
]
const v6 = (counted: string, ...frames: readonly Buffer[]): Attack => [
  `ip6 saddr { 2001:db8::1, ${EVIL6} } ${counted}`,
  ...frames,
]
const protocol = (number: number, payload: Buffer = Buffer.alloc(16)): Attack =>
  v4(`ip protocol ${number}`, { protocol: number, payload })
const tcp = (port: number, flags: number, text?: string): Attack =>
  v4(`tcp dport ${port}`, { protocol: 6, payload: segment(EVIL, OUTSIDE, port, flags, text) })
const udp6 = (port: number, type: number, rest: number[]): Attack =>
  v6(
    `udp dport ${port}`,
    ipv6(frame, EVIL6, OUTSIDE6, 17, datagram(port, 12), [{ type, rest: Buffer.from(rest) }]),
  )
const fragments = (port: number): [Ipv4, Ipv4] => [
  { protocol: 17, payload: datagram(port, 32).subarray(0, 16), fragment: { more: true, offset: 0 } },
  { protocol: 17, payload: datagram(port, 32).subarray(16), fragment: { more: false, offset: 16 } },
]
const syn = segment(EVIL, OUTSIDE, 4022, 0x02)
const tinyFragments: [Ipv4, Ipv4] = [
  { protocol: 6, payload: syn.subarray(0, 8), fragment: { more: true, offset: 0 } },
  { protocol: 6, payload: syn.subarray(8), fragment: { more: false, offset: 8 } },
]
const echo = Buffer.from('0800f7ff00000000', 'hex')
const echo6 = Buffer.from('8000000000000000', 'hex')
const [inner4, inner6] = [
  ipv4(frame, EVIL, OUTSIDE, { protocol: 17, payload: datagram(4020, 16) }).subarray(14),
  ipv6(frame, EVIL6, OUTSIDE6, 17, datagram(4021, 16)).subarray(14),
]

const raw: Readonly<Record<string, Attack>> = {
  'ICMP, a tunnel': v4('icmp type echo-request', { protocol: 1, payload: echo }),
  'an ICMP error about nothing': v4('icmp type destination-unreachable icmp code 10', {
    protocol: 1,
    payload: Buffer.concat([Buffer.from('030afcf500000000', 'hex'), Buffer.alloc(28)]),
  }),
  'ICMP that asks for the time': v4('icmp type timestamp-request', {
    protocol: 1,
    payload: Buffer.concat([Buffer.from('0d00f2ff00000000', 'hex'), Buffer.alloc(12)]),
  }),
  IGMP: protocol(2),
  OSPF: protocol(89),
  GRE: protocol(47),
  SCTP: protocol(132),
  DCCP: protocol(33),
  'UDP-Lite': protocol(136, datagram(4009, 16)),
  ESP: protocol(50),
  AH: protocol(51),
  'IPv4 in IPv4': protocol(4, inner4),
  'IPv6 in IPv4': protocol(41, inner6),
  'a protocol of its own': protocol(253),
  'a protocol of its own, and nothing in it': protocol(254, Buffer.alloc(0)),
  'UDP with IPv4 options': v4('udp dport 4001', {
    ...{ protocol: 17, payload: datagram(4001, 16) },
    options: Buffer.of(1, 1, 1, 0),
  }),
  'UDP that has its route recorded': v4('udp dport 4006', {
    ...{ protocol: 17, payload: datagram(4006, 16) },
    options: Buffer.of(7, 7, 4, 0, 0, 0, 0, 0),
  }),
  'UDP by a way of its own choice': v4('udp dport 4023', {
    ...{ protocol: 17, payload: datagram(4023, 16) },
    options: Buffer.of(131, 7, 4, 10, 99, 0, 2, 0),
  }),
  'TCP in tiny fragments': v4('tcp dport 4022', ...tinyFragments),
  'UDP with a tiny TTL': v4('udp dport 4002', { protocol: 17, payload: datagram(4002, 16), ttl: 2 }),
  'UDP in fragments': v4('udp dport 4003', ...fragments(4003)),
  'UDP in fragments, the last one first': v4('udp dport 4004', ...fragments(4004).reverse()),
  VXLAN: v4('udp dport 4789', { protocol: 17, payload: datagram(4789, 32) }),
  'TCP that begins in the middle': tcp(4011, 0x10),
  'TCP that begins with data': tcp(4012, 0x02, 'data'),
  'TCP that begins and ends at once': tcp(4013, 0x03),
  'TCP without flags': tcp(4014, 0),
  'a reset of TCP': tcp(4015, 0x04),
  'UDP after IPv6 options': udp6(4005, 60, [0, 1, 4, 0, 0, 0, 0]),
  'UDP after hop-by-hop options': udp6(4016, 0, [0, 1, 4, 0, 0, 0, 0]),
  'UDP after a routing header': udp6(4017, 43, [0, 4, 0, 0, 0, 0, 0]),
  'UDP in IPv6 fragments': v6(
    'udp dport 4018',
    ...ipv6Fragments(frame, EVIL6, OUTSIDE6, datagram(4018, 32), 16),
  ),
  'ICMPv6, a tunnel': v6('icmpv6 type echo-request', ipv6(frame, EVIL6, OUTSIDE6, 58, echo6)),
  'an ICMPv6 error about nothing': v6(
    'icmpv6 type destination-unreachable icmpv6 code 6',
    ipv6(
      frame,
      EVIL6,
      OUTSIDE6,
      58,
      Buffer.concat([Buffer.from('0106000000000000', 'hex'), Buffer.alloc(48)]),
    ),
  ),
  'IPv6 with nothing in it': v6('ip6 nexthdr 59', ipv6(frame, EVIL6, OUTSIDE6, 59, Buffer.alloc(0))),
  'SCTP in IPv6': v6('ip6 nexthdr 132', ipv6(frame, EVIL6, OUTSIDE6, 132, Buffer.alloc(16))),
  'GRE in IPv6': v6('ip6 nexthdr 47', ipv6(frame, EVIL6, OUTSIDE6, 47, Buffer.alloc(16))),
  'IPv6 in IPv6': v6('ip6 nexthdr 41', ipv6(frame, EVIL6, OUTSIDE6, 41, inner6)),
  'IPv4 in IPv6': v6('ip6 nexthdr 4', ipv6(frame, EVIL6, OUTSIDE6, 4, inner4)),
}

const toHost: Readonly<Record<string, Attack>> = {
  'ICMP to the host': toHost4('icmp type echo-request', { protocol: 1, payload: echo }),
  'GRE to the host': toHost4('ip protocol 47', { protocol: 47, payload: Buffer.alloc(16) }),
  'SCTP to the host': toHost4('ip protocol 132', { protocol: 132, payload: Buffer.alloc(16) }),
  'IPv4 in IPv4 to the host': toHost4('ip protocol 4', { protocol: 4, payload: inner4 }),
  'IPv6 in IPv4 to the host': toHost4('ip protocol 41', { protocol: 41, payload: inner6 }),
  'ESP to the host': toHost4('ip protocol 50', { protocol: 50, payload: Buffer.alloc(16) }),
  'a protocol of its own to the host': toHost4('ip protocol 253', {
    protocol: 253,
    payload: Buffer.alloc(16),
  }),
  'VXLAN to the host': toHost4('udp dport 4789', { protocol: 17, payload: datagram(4789, 32) }),
  'GENEVE to the host': toHost4('udp dport 6081', { protocol: 17, payload: datagram(6081, 32) }),
  'WireGuard to the host': toHost4('udp dport 51820', { protocol: 17, payload: datagram(51820, 32) }),
  'ICMPv6 to the host': toHost6('icmpv6 type echo-request', 58, echo6),
  'VXLAN to the host in IPv6': toHost6('udp dport 4790', 17, datagram(4790, 32)),
  'IPv4 in IPv6 to the host': toHost6('ip6 nexthdr 4', 4, inner4),
  'UDP to all on its link': [
    `ip saddr ${EVIL} udp dport 4024`,
    ipv4({ from: own, to: 'ff:ff:ff:ff:ff:ff' }, EVIL, '255.255.255.255', {
      protocol: 17,
      payload: datagram(4024, 16),
    }),
  ],
  'UDP to all that hear a multicast': [
    `ip saddr ${EVIL} udp dport 4026`,
    ipv4({ from: own, to: '01:00:5e:00:00:01' }, EVIL, '224.0.0.1', {
      protocol: 17,
      payload: datagram(4026, 16),
    }),
  ],
  'UDP in fragments to the host': [
    `ip saddr ${EVIL} udp dport 4025`,
    ...fragments(4025).map((packet) => ipv4(frame, EVIL, HOST, packet)),
  ],
}

/** That somebody could not be reached, as a router says it of what passed by it. */
const unreachable = (
  [source, sport]: readonly [string, number],
  [destination, dport]: readonly [string, number],
) => {
  const began = Buffer.alloc(8)
  began.writeUInt16BE(sport)
  began.writeUInt16BE(dport, 2)
  began.writeUInt16BE(9, 4)
  const packet = { protocol: 17, payload: began }
  const inner = source.includes(':')
    ? ipv6(frame, source, destination, 59, began)
    : ipv4(frame, source, destination, packet)
  if (source.includes(':')) inner[14 + 6] = 17
  return Buffer.concat([
    Buffer.from(source.includes(':') ? '0104000000000000' : '0303000000000000', 'hex'),
    inner.subarray(14),
  ])
}
const about4 = (to: string, ends: Parameters<typeof unreachable>): Attack => [
  `ip saddr ${EVIL} icmp type destination-unreachable icmp code 3`,
  ipv4(frame, EVIL, to, { protocol: 1, payload: withChecksum(unreachable(...ends)) }),
]
// Connections of others: from these ports of theirs, to one of the server's.
const toVictim: Readonly<Record<string, Attack>> = {
  'an error about a connection of another pod, to that': about4('10.88.0.2', [
    ['10.88.0.2', 5555],
    ['10.99.0.2', 80],
  ]),
  'an error about an IPv6 connection of another pod, to that': [
    `ip6 saddr ${EVIL6} icmpv6 type destination-unreachable icmpv6 code 4`,
    ipv6(frame, EVIL6, 'fd88::2', 58, unreachable(['fd88::2', 5556], ['fd88::1', 80])),
  ],
}
const toHostAbout: Readonly<Record<string, Attack>> = {
  'an error about a connection of the host, to that': about4('10.99.0.1', [
    ['10.99.0.1', 5557],
    ['10.99.0.2', 80],
  ]),
}
const toServerAbout: Readonly<Record<string, Attack>> = {
  'an error about a connection of another pod, to its server': about4('10.99.0.2', [
    ['10.99.0.2', 80],
    ['10.88.0.2', 5555],
  ]),
}

/** By where they should not arrive. */
export const attacks: Readonly<Record<'outside' | 'host' | 'victim', Readonly<Record<string, Attack>>>> = {
  outside: { ...raw, ...toServerAbout },
  host: { ...toHost, ...toHostAbout },
  victim: toVictim,
}
