import { closeSync } from 'node:fs'
import { links, openNetlink, withNetns } from '@podwire/netlink'
import { encodeIp } from '@podwire/netlink/transport'
import koffi from 'koffi'

const AF_PACKET = 17
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0x800

const bytesOf = (mac: string) => Buffer.from(mac.replaceAll(':', ''), 'hex')
const be16 = (value: number) => Buffer.of(value >> 8, value & 0xff)

/** Sends a frame as it is from a namespace's eth0: what a program with every capability there can do. */
export const sendFrame = (netns: string, frame: Uint8Array) => sendFrames(netns, [frame])

/** The same of many, at once. */
export function sendFrames(netns: string, frames: readonly Uint8Array[]): void {
  using netlink = openNetlink({ netns })
  const { index } = netlink.runSync(links.get('eth0'))
  const { socket, sendto } = libc()
  withNetns(netns, () => {
    const fd = socket(AF_PACKET, SOCK_RAW, 0)
    // struct sockaddr_ll: family, protocol, index.
    const address = Buffer.alloc(20)
    address.writeUInt16LE(AF_PACKET)
    address.writeInt32LE(index, 4)
    const isSent = frames.every(
      (frame) => sendto(fd, frame, frame.length, 0, address, address.length) === frame.length,
    )
    const errno = koffi.errno()
    closeSync(fd)
    if (!isSent) throw new Error(`the frame was not sent: ${errno}`)
  })
}

/** What programs of this namespace get of an EtherType, from now on. */
export function receiveFrames(etherType: number): { count(): number; close(): void } {
  const { socket, recv } = libc()
  const network = be16(etherType).readUInt16LE()
  const fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, network)
  const scratch = Buffer.alloc(2048)
  let count = 0
  return {
    count() {
      while (recv(fd, scratch, scratch.length, 0) > 0) count++
      return count
    },
    close: () => closeSync(fd),
  }
}

function libc() {
  const library = koffi.load(null)
  return {
    socket: library.func('int socket(int, int, int)'),
    sendto: library.func('intptr_t sendto(int, const void *, size_t, int, const void *, uint32_t)'),
    recv: library.func('intptr_t recv(int, void *, size_t, int)'),
  }
}

export interface Ethernet {
  readonly from: string
  readonly to: string
}

export const ethernet = ({ from, to }: Ethernet, type: number, payload: Uint8Array) =>
  Buffer.concat([bytesOf(to), bytesOf(from), be16(type), payload])

/** The same frame with a VLAN tag of number 0, which says nothing of a VLAN: kernels take it off. */
export const tagged = (frame: Buffer) =>
  Buffer.concat([frame.subarray(0, 12), Buffer.from('81000000', 'hex'), frame.subarray(12)])

/** An ARP answer, or a question: `address` is at `from`. */
export const arp = (frame: Ethernet, operation: 'request' | 'reply', address: string, target: string) =>
  ethernet(
    frame,
    0x0806,
    Buffer.concat([
      Buffer.from('0001080006040001', 'hex').fill(operation === 'reply' ? 2 : 1, 7),
      bytesOf(frame.from),
      encodeIp(address),
      operation === 'reply' ? bytesOf(frame.to) : Buffer.alloc(6),
      encodeIp(target),
    ]),
  )

/** A UDP datagram in IPv4 or IPv6. */
export function udp(
  frame: Ethernet,
  [source, sport]: readonly [string, number],
  [destination, dport]: readonly [string, number],
  text: string,
): Buffer {
  const data = Buffer.from(text)
  const length = 8 + data.length
  const datagram = Buffer.concat([be16(sport), be16(dport), be16(length), be16(0), data])
  return ip(frame, source, destination, 17, datagram)
}

/** An advertisement that `address` is at `from`: RFC 4861, unasked for and to be believed. */
export function neighbourAdvertisement(frame: Ethernet, address: string, to: string): Buffer {
  return ip(frame, address, to, 58, neighbourMessage('8800000020000000', address, 2, frame))
}

/** A question who has an address, from who says that `source` is at `from`. */
export function neighbourSolicitation(frame: Ethernet, source: string, target: string): Buffer {
  return ip(frame, source, target, 58, neighbourMessage('8700000000000000', target, 1, frame))
}

/** @param option of the link-layer address: 1 of the source, 2 of the target */
const neighbourMessage = (head: string, about: string, option: number, { from }: Ethernet) =>
  Buffer.concat([Buffer.from(head, 'hex'), encodeIp(about), Buffer.of(option, 1), bytesOf(from)])

/** What a bridge says to the others of its link, where it is the root of all: IEEE 802.1D, with the lowest priority. */
export function bridgeHello(mac: string): Buffer {
  const id = Buffer.concat([be16(0), bytesOf(mac)])
  const hello = Buffer.concat([
    Buffer.from('424203', 'hex'),
    Buffer.alloc(5),
    id,
    Buffer.alloc(4),
    id,
    // The port; the age of it; how old it may be, how often it comes, how long one waits.
    Buffer.from('8001' + '0000' + '1400' + '0200' + '0f00', 'hex'),
  ])
  return ethernet(
    { from: mac, to: '01:80:c2:00:00:00' },
    hello.length,
    Buffer.concat([hello, Buffer.alloc(8)]),
  )
}

function ip(frame: Ethernet, source: string, destination: string, protocol: number, payload: Buffer): Buffer {
  const addresses = Buffer.concat([encodeIp(source), encodeIp(destination)])
  const isV6 = source.includes(':')
  if (protocol === 17 || isV6) {
    const pseudo = isV6
      ? Buffer.concat([addresses, Buffer.of(0, 0), be16(payload.length), Buffer.of(0, 0, 0, protocol)])
      : Buffer.concat([addresses, Buffer.of(0, protocol), be16(payload.length)])
    checksum(Buffer.concat([pseudo, payload])).copy(payload, protocol === 17 ? 6 : 2)
  }
  if (isV6) {
    const header = Buffer.concat([
      Buffer.of(0x60, 0, 0, 0),
      be16(payload.length),
      Buffer.of(protocol, 255),
      addresses,
    ])
    return ethernet(frame, 0x86dd, Buffer.concat([header, payload]))
  }
  const header = Buffer.concat([
    Buffer.of(0x45, 0),
    be16(20 + payload.length),
    Buffer.of(0, 0, 0, 0, 64, protocol, 0, 0),
    addresses,
  ])
  checksum(header).copy(header, 10)
  return ethernet(frame, 0x0800, Buffer.concat([header, payload]))
}

function checksum(bytes: Buffer): Buffer {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16)
  return be16(~sum & 0xffff)
}
