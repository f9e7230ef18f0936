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

/** A TCP segment without options. @param flags FIN 1, SYN 2, RST 4, PSH 8, ACK 16 */
export function segment(source: string, destination: string, port: number, flags: number, text = ''): Buffer {
  const header = Buffer.concat([
    be16(5000),
    be16(port),
    Buffer.alloc(8),
    Buffer.of(0x50, flags, 0x10, 0),
    be16(0),
    be16(0),
  ])
  const whole = Buffer.concat([header, Buffer.from(text)])
  const pseudo = Buffer.concat([encodeIp(source), encodeIp(destination), Buffer.of(0, 6), be16(whole.length)])
  checksum(Buffer.concat([pseudo, whole])).copy(whole, 16)
  return whole
}

/** A message of ICMP with its checksum. */
export function withChecksum(message: Buffer): Buffer {
  const whole = Buffer.from(message)
  checksum(whole).copy(whole, 2)
  return whole
}

/** A header of IPv6 before the transport's, without its first byte, which is the next header. */
export interface Extension {
  readonly type: number
  readonly rest: Uint8Array
}

/** An IPv6 packet made by hand. @param payload UDP without its checksum, or what has none */
export function ipv6(
  frame: Ethernet,
  source: string,
  destination: string,
  protocol: number,
  payload: Buffer,
  extensions: readonly Extension[] = [],
): Buffer {
  const addresses = Buffer.concat([encodeIp(source), encodeIp(destination)])
  const whole = Buffer.from(payload)
  if (protocol === 17 || protocol === 58) {
    const pseudo = Buffer.concat([
      addresses,
      Buffer.of(0, 0),
      be16(whole.length),
      Buffer.of(0, 0, 0, protocol),
    ])
    checksum(Buffer.concat([pseudo, whole])).copy(whole, protocol === 17 ? 6 : 2)
  }
  const types = [...extensions.map(({ type }) => type), protocol]
  const before = extensions.map(({ rest }, index) => Buffer.concat([Buffer.of(types[index + 1]!), rest]))
  const after = Buffer.concat([...before, whole])
  const header = Buffer.concat([
    Buffer.of(0x60, 0, 0, 0),
    be16(after.length),
    Buffer.of(types[0]!, 64),
    addresses,
  ])
  return ethernet(frame, 0x86dd, Buffer.concat([header, after]))
}

/** The same in two fragments. */
export function ipv6Fragments(
  frame: Ethernet,
  source: string,
  destination: string,
  payload: Buffer,
  at: number,
): Buffer[] {
  const whole = ipv6(frame, source, destination, 17, payload).subarray(14 + 40)
  const piece = (from: number, to: number, more: number) =>
    ipv6(frame, source, destination, NONE, whole.subarray(from, to), [
      { type: 44, rest: Buffer.concat([Buffer.of(0), be16(from | more), be16(0), be16(4242)]) },
    ])
  // What follows is UDP, whose checksum is of the whole.
  return [piece(0, at, 1), piece(at, whole.length, 0)].map((bytes) => {
    bytes[14 + 40] = 17
    return bytes
  })
}

/** "No next header" of IPv6: nobody adds anything to what is in it. */
const NONE = 59

function checksum(bytes: Buffer): Buffer {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16)
  return be16(~sum & 0xffff)
}
