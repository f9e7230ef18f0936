import { encodeIp } from '@podwire/netlink/transport'
import { describe, expect, it } from 'vitest'
import { parsePacket } from '../../src/policy/packet.ts'

const UDP = 17
const port = (number: number) => Buffer.of(0x80, 0, number >> 8, number & 255, 0, 8, 0, 0)

function ipv4(protocol: number, payload: Buffer, options = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(20)
  header[0] = 0x40 | (5 + options.length / 4)
  header[9] = protocol
  encodeIp('10.88.0.2').copy(header, 12)
  encodeIp('192.0.2.1').copy(header, 16)
  return Buffer.concat([header, options, payload])
}

function ipv6(protocol: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(40)
  header[0] = 0x60
  header[6] = protocol
  encodeIp('fd88::2').copy(header, 8)
  encodeIp('2001:db8::1').copy(header, 24)
  return Buffer.concat([header, payload])
}

/** An extension header of IPv6. @param units of eight bytes, after the first */
const extension = (next: number, units = 0) =>
  Buffer.concat([Buffer.of(next, units), Buffer.alloc(6 + 8 * units)])

const of4 = { source: '10.88.0.2', destination: '192.0.2.1' }
const of6 = { source: 'fd88::2', destination: '2001:db8::1' }

describe('a packet that a pod made', () => {
  it.each([
    ['of IPv4', ipv4(UDP, port(53)), { ...of4, protocol: UDP, port: 53 }],
    ['of IPv4 with options', ipv4(UDP, port(53), Buffer.alloc(8)), { ...of4, protocol: UDP, port: 53 }],
    ['of IPv4 without ports', ipv4(1, port(53)), { ...of4, protocol: 1 }],
    ['of IPv4, cut off before its port', ipv4(UDP, Buffer.alloc(3)), { ...of4, protocol: UDP }],
    ['of IPv6', ipv6(6, port(443)), { ...of6, protocol: 6, port: 443 }],
    [
      'of IPv6 with what may stand before the transport',
      ipv6(0, Buffer.concat([extension(43), extension(60, 2), extension(44), extension(UDP), port(53)])),
      { ...of6, protocol: UDP, port: 53 },
    ],
    ['of IPv6, cut off within that', ipv6(0, extension(60, 9)), { ...of6, protocol: 60 }],
  ])('%s is read', (_, packet, headers) => {
    expect(parsePacket(packet)).toEqual(headers)
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['another version', Buffer.alloc(60, 0x50)],
    ['too little for IPv4', ipv4(UDP, port(53)).subarray(0, 19)],
    ['too little for IPv6', ipv6(UDP, port(53)).subarray(0, 39)],
  ])('that is none, %s, is left', (_, packet) => {
    expect(parsePacket(packet)).toBeUndefined()
  })
})
