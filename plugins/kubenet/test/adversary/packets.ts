import { encodeIp } from '@podwire/netlink/transport'
import { type Ethernet, ethernet } from '../support/frames.ts'

const be16 = (value: number) => Buffer.of(value >> 8, value & 0xff)

export interface Ipv4 {
  readonly protocol: number
  readonly payload: Uint8Array
  readonly ttl?: number
  /** A multiple of four bytes. */
  readonly options?: Uint8Array
  /** More fragments follow, and how far into the whole this one begins, in bytes. */
  readonly fragment?: { readonly more: boolean; readonly offset: number }
}

/** An IPv4 packet made by hand, with whatever a program with every capability may put there. */
export function ipv4(frame: Ethernet, source: string, destination: string, packet: Ipv4): Buffer {
  const { protocol, payload, ttl = 64, options = Buffer.alloc(0), fragment } = packet
  const flags = fragment ? (fragment.more ? 0x2000 : 0) | (fragment.offset / 8) : 0
  const header = Buffer.concat([
    Buffer.of(0x40 | (5 + options.length / 4), 0),
    be16(20 + options.length + payload.length),
    be16(4242),
    be16(flags),
    Buffer.of(ttl, protocol, 0, 0),
    encodeIp(source),
    encodeIp(destination),
    options,
  ])
  checksum(header).copy(header, 10)
  return ethernet(frame, 0x0800, Buffer.concat([header, payload]))
}

/** The beginning of a UDP datagram; a checksum of 0 is none. */
export const datagram = (port: number, length: number) =>
  Buffer.concat([be16(5000), be16(port), be16(length), be16(0), Buffer.alloc(length - 8, 'x')])

/** An IPv6 packet with a header of destination options before UDP. */
export function ipv6WithOptions(frame: Ethernet, source: string, destination: string, port: number): Buffer {
  const addresses = Buffer.concat([encodeIp(source), encodeIp(destination)])
  const udp = datagram(port, 12)
  const pseudo = Buffer.concat([addresses, Buffer.of(0, 0, 0, udp.length, 0, 0, 0, 17), udp])
  checksum(pseudo).copy(udp, 6)
  const options = Buffer.of(17, 0, 1, 4, 0, 0, 0, 0)
  const payload = Buffer.concat([options, udp])
  const header = Buffer.concat([Buffer.of(0x60, 0, 0, 0), be16(payload.length), Buffer.of(60, 64), addresses])
  return ethernet(frame, 0x86dd, Buffer.concat([header, payload]))
}

function checksum(bytes: Buffer): Buffer {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16)
  return be16(~sum & 0xffff)
}
