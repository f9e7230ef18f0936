import { errors } from '../errors.ts'
import { type Attribute, decodeAttributes, listAttributes, present } from '../wire/attributes.ts'
import { readBe16, readU8, readU16, readU64, slice, u8, u16, u32 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_INET, AF_INET6, decodeIp, encodeIp, encodePrefix, familyOf } from '../wire/ip.ts'
import { decodeKey, encodeKey, isNoKey, noKey } from './key.ts'

/** Where a peer is reached by UDP. */
export interface WireguardEndpoint {
  readonly address: string
  readonly port: number
}

/** A peer as the kernel has it. Keys are 32 bytes in base64, as `wg` writes them. */
export interface WireguardPeer {
  publicKey: string
  /** A secret. Absent: none. */
  presharedKey?: string
  /** Where its last authentic packet came from, else where it was said to be. Absent: nobody knows. */
  endpoint?: WireguardEndpoint
  /** In seconds; 0: none are sent. */
  persistentKeepalive: number
  /** In milliseconds since 1970. Absent: there was none yet. */
  lastHandshake?: number
  rxBytes: number
  txBytes: number
  /** What it may send from, and what is sent to it, each with prefix length. */
  allowedIps: string[]
}

/** What to make of a peer. What is left out stays as it is, or is none of a peer that is new. */
export interface WireguardPeerChange {
  readonly publicKey: string
  /** Takes the peer away; one that is not there is success. */
  readonly remove?: boolean
  /** Makes none where there is none. */
  readonly updateOnly?: boolean
  /** A secret. Null: none. */
  readonly presharedKey?: string | null
  readonly endpoint?: WireguardEndpoint
  /** In seconds, at most 65535; 0: none. */
  readonly persistentKeepalive?: number
  /** The peer has those of `allowedIps` and no others. */
  readonly replaceAllowedIps?: boolean
  /** Each with prefix length. Another peer of the link that has one of these loses it. */
  readonly allowedIps?: readonly string[]
}

/** All of a peer but its allowed IPs, which may go on in the next message. */
export function encodePeer(peer: WireguardPeerChange): Attribute[] {
  const { publicKey, presharedKey, endpoint, persistentKeepalive: keepalive } = peer
  return [
    [c.WGPEER_A_PUBLIC_KEY, encodeKey(publicKey, 'public key')],
    [
      c.WGPEER_A_PRESHARED_KEY,
      presharedKey === undefined
        ? undefined
        : presharedKey === null
          ? noKey()
          : encodeKey(presharedKey, 'preshared key'),
    ],
    [c.WGPEER_A_ENDPOINT, endpoint && encodeEndpoint(endpoint)],
    [
      c.WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
      keepalive === undefined ? undefined : u16(within16Bits(keepalive, 'keepalive interval')),
    ],
    [c.WGPEER_A_FLAGS, flagsOf(peer)],
  ]
}

/** The same peer once more, for allowed IPs that the message before had no room for: they come to those it has. */
export const encodePeerAgain = ({ publicKey, updateOnly = false }: WireguardPeerChange): Attribute[] =>
  encodePeer({ publicKey, updateOnly })

function flagsOf({ remove, replaceAllowedIps, updateOnly }: WireguardPeerChange): Buffer | undefined {
  const flags =
    (remove ? c.WGPEER_F_REMOVE_ME : 0) |
    (replaceAllowedIps ? c.WGPEER_F_REPLACE_ALLOWEDIPS : 0) |
    (updateOnly ? c.WGPEER_F_UPDATE_ONLY : 0)
  return flags === 0 ? undefined : u32(flags)
}

export function encodeAllowedIp(prefix: string): Attribute {
  const { family, bytes, length } = encodePrefix(prefix)
  return [
    0,
    [
      [c.WGALLOWEDIP_A_FAMILY, u16(family)],
      [c.WGALLOWEDIP_A_IPADDR, bytes],
      [c.WGALLOWEDIP_A_CIDR_MASK, u8(length)],
    ],
  ]
}

export function within16Bits(value: number, what: string): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff)
    throw errors.ERR_NETLINK_ARGUMENT({ what, value, expected: 'a whole number from 0 to 65535' })
  return value
}

/** struct sockaddr_in or sockaddr_in6: family in the machine's byte order, port and address in the network's. */
function encodeEndpoint({ address, port }: WireguardEndpoint): Buffer {
  const family = familyOf(address)
  const bytes = Buffer.alloc(family === AF_INET ? 16 : 28)
  bytes.writeUInt16LE(family, 0)
  bytes.writeUInt16BE(within16Bits(port, 'port'), 2)
  bytes.set(encodeIp(address), family === AF_INET ? 4 : 8)
  return bytes
}

function decodeEndpoint(bytes: Buffer): WireguardEndpoint | undefined {
  const family = readU16(bytes)
  if (family !== AF_INET && family !== AF_INET6) return undefined
  const [from, length] = family === AF_INET ? [4, 4] : [8, 16]
  return { address: decodeIp(slice(bytes, from, length)), port: readBe16(bytes, 2) }
}

export function decodePeer(bytes: Buffer): WireguardPeer {
  const attributes = decodeAttributes(bytes)
  const read = <T>(type: number, reader: (value: Buffer) => T) => {
    const value = attributes.get(type)
    return value && reader(value)
  }
  return present({
    publicKey: read(c.WGPEER_A_PUBLIC_KEY, decodeKey) ?? noKey().toString('base64'),
    presharedKey: read(c.WGPEER_A_PRESHARED_KEY, (key) => (isNoKey(key) ? undefined : decodeKey(key))),
    endpoint: read(c.WGPEER_A_ENDPOINT, decodeEndpoint),
    persistentKeepalive: read(c.WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, readU16) ?? 0,
    lastHandshake: read(c.WGPEER_A_LAST_HANDSHAKE_TIME, decodeTime),
    rxBytes: read(c.WGPEER_A_RX_BYTES, readU64) ?? 0,
    txBytes: read(c.WGPEER_A_TX_BYTES, readU64) ?? 0,
    allowedIps:
      read(c.WGPEER_A_ALLOWEDIPS, (list) => listAttributes(list).map(([, ip]) => decodeAllowedIp(ip))) ?? [],
  })
}

/** struct __kernel_timespec: seconds and nanoseconds of 64 bits each. */
function decodeTime(bytes: Buffer): number | undefined {
  const [seconds, nanoseconds] = [readU64(bytes), readU64(bytes, 8)]
  return seconds === 0 && nanoseconds === 0 ? undefined : seconds * 1_000 + Math.floor(nanoseconds / 1e6)
}

function decodeAllowedIp(bytes: Buffer): string {
  const attributes = decodeAttributes(bytes)
  const address = attributes.get(c.WGALLOWEDIP_A_IPADDR)
  const length = attributes.get(c.WGALLOWEDIP_A_CIDR_MASK)
  if (!address || !length)
    throw errors.ERR_NETLINK_MALFORMED({ what: 'an allowed IP without address or length' })
  return `${decodeIp(address)}/${readU8(length)}`
}
