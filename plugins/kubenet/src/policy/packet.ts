import { decodeIp } from '@podwire/netlink/transport'

/** What a packet's headers say. */
export interface PacketHeaders {
  readonly source: string
  readonly destination: string
  readonly protocol: number
  /** Where it goes to; undefined of protocols that have no ports, and where the packet was cut off before. */
  readonly port?: number
}

const IPPROTO_FRAGMENT = 44
// Hop-by-hop, routing and destination options: what may stand between the headers of IPv6 and the transport.
const EXTENSIONS = [0, 43, 60]
const WITH_PORTS = [6, 17, 33, 132, 136]

/** Reads a packet from its network header on, which a pod made as it liked; undefined for what isn't one. */
export function parsePacket(packet: Buffer): PacketHeaders | undefined {
  const version = (packet[0] ?? 0) >> 4
  if (version === 4 && packet.length >= 20) {
    const offset = (packet[0]! & 0xf) * 4
    return headers(packet, packet.subarray(12, 16), packet.subarray(16, 20), packet[9]!, offset)
  }
  if (version !== 6 || packet.length < 40) return undefined
  let protocol = packet[6]!
  let offset = 40
  while (offset + 8 <= packet.length && (EXTENSIONS.includes(protocol) || protocol === IPPROTO_FRAGMENT)) {
    const length = protocol === IPPROTO_FRAGMENT ? 8 : (packet[offset + 1]! + 1) * 8
    protocol = packet[offset]!
    offset += length
  }
  return headers(packet, packet.subarray(8, 24), packet.subarray(24, 40), protocol, offset)
}

function headers(packet: Buffer, source: Buffer, destination: Buffer, protocol: number, offset: number) {
  const hasPort = WITH_PORTS.includes(protocol) && offset + 4 <= packet.length
  return {
    source: decodeIp(source),
    destination: decodeIp(destination),
    protocol,
    ...(hasPort ? { port: packet.readUInt16BE(offset + 2) } : {}),
  }
}
