import { errors } from '../errors.ts'
import type { GenericFamily } from '../genetlink/families.ts'
import { encodeGeneric, GENL_HDRLEN, genericRequest } from '../genetlink/request.ts'
import { linkName } from '../socket/link-index.ts'
import type { LinkRef, Request } from '../socket/request.ts'
import {
  type Attribute,
  decodeAttributes,
  encodeAttributes,
  listAttributes,
  present,
} from '../wire/attributes.ts'
import { readText, readU16, readU32, u16, u32 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import type { Message } from '../wire/message.ts'
import { decodeKey, encodeKey, isNoKey, noKey } from './key.ts'
import {
  decodePeer,
  encodeAllowedIp,
  encodePeer,
  encodePeerAgain,
  type WireguardPeer,
  type WireguardPeerChange,
  within16Bits,
} from './peer.ts'

/** The name of WireGuard's family, for `families.get`. */
export const FAMILY_NAME = 'wireguard'

/** What a link of the kind `wireguard` has besides what all links have. Its private key is not read: nobody needs to see it again. */
export interface WireguardDevice {
  index: number
  name: string
  /** That of the private key, in base64. Absent: it has none. */
  publicKey?: string
  /** UDP. 0: it is down, and none was asked for. */
  listenPort: number
  /** Of the packets that it sends; 0: none. */
  fwmark: number
  peers: WireguardPeer[]
}

/** What to make of a link. What is left out stays as it is. */
export interface WireguardChanges {
  /** A secret, 32 bytes in base64. Null: none. */
  readonly privateKey?: string | null
  /** UDP; 0 is the kernel's choice. */
  readonly listenPort?: number
  /** 0: none. */
  readonly fwmark?: number
  /** The link has those of `peers` and no others. */
  readonly replacePeers?: boolean
  readonly peers?: readonly WireguardPeerChange[]
}

/** What WireGuard has of a link. Errors: `ENODEV`, `EOPNOTSUPP` for a link of another kind. */
export function get(family: GenericFamily, link: LinkRef): Request<WireguardDevice> {
  return genericRequest({
    operation: `get WireGuard of link ${link}`,
    type: family.id,
    flags: c.NLM_F_DUMP,
    body: () => encodeGeneric(c.WG_CMD_GET_DEVICE, family.version, [linkAttribute(link)]),
    parse: decodeDevice,
  })
}

/**
 * Changes what WireGuard has of a link: requests for one batch, several where there is more than a message holds. Errors: `ENODEV`,
 * `EOPNOTSUPP` for a link of another kind, `EADDRINUSE` for a port that is taken while the link is up.
 */
export function set(family: GenericFamily, link: LinkRef, changes: WireguardChanges): Request<void>[] {
  const bodies = divide(deviceAttributes(link, changes), [linkAttribute(link)], changes.peers ?? [])
  return bodies.map((attributes) =>
    genericRequest({
      operation: `set WireGuard of link ${link}`,
      type: family.id,
      flags: c.NLM_F_ACK,
      body: () => encodeGeneric(c.WG_CMD_SET_DEVICE, family.version, attributes),
      parse: () => {},
    }),
  )
}

// By name the kernel looks it up itself: this socket can't.
const linkAttribute = (link: LinkRef): Attribute =>
  typeof link === 'number' ? [c.WGDEVICE_A_IFINDEX, u32(link)] : [c.WGDEVICE_A_IFNAME, linkName(link)]

function deviceAttributes(
  link: LinkRef,
  { privateKey, listenPort, fwmark, replacePeers }: WireguardChanges,
): Attribute[] {
  return [
    linkAttribute(link),
    [
      c.WGDEVICE_A_PRIVATE_KEY,
      privateKey === undefined
        ? undefined
        : privateKey === null
          ? noKey()
          : encodeKey(privateKey, 'private key'),
    ],
    [
      c.WGDEVICE_A_LISTEN_PORT,
      listenPort === undefined ? undefined : u16(within16Bits(listenPort, 'port to listen on')),
    ],
    [c.WGDEVICE_A_FWMARK, fwmark === undefined ? undefined : u32(fwmark)],
    [c.WGDEVICE_A_FLAGS, replacePeers ? u32(c.WGDEVICE_F_REPLACE_PEERS) : undefined],
  ]
}

/** What the peers of one message may take: an attribute holds 64 KiB, and the list of them is one. Bytes. */
const mostBytes = 32 << 10

/**
 * Attributes of as many messages as it takes. What is said of the link, that its peers are replaced among it, is in the first alone; a
 * peer whose allowed IPs don't fit goes on in the next one, where nothing of it is replaced.
 */
function divide(
  first: readonly Attribute[],
  others: readonly Attribute[],
  peers: readonly WireguardPeerChange[],
): Attribute[][] {
  const messages: Attribute[][] = []
  let list: Attribute[] = []
  let bytes = 0
  const finish = () => {
    const head = messages.length === 0 ? first : others
    messages.push([...head, [c.WGDEVICE_A_PEERS, list.length === 0 ? undefined : list]])
    list = []
    bytes = 0
  }
  const add = (peer: Attribute[], allowedIps: Attribute[]) => {
    if (allowedIps.length > 0) peer.push([c.WGPEER_A_ALLOWEDIPS, allowedIps])
    list.push([0, peer])
  }
  for (const peer of peers) {
    let attributes = encodePeer(peer)
    let allowedIps: Attribute[] = []
    const size = sizeOf(attributes)
    if (bytes + size > mostBytes) finish()
    bytes += size
    for (const one of (peer.allowedIps ?? []).map(encodeAllowedIp)) {
      const more = sizeOf([one])
      if (bytes + more > mostBytes) {
        add(attributes, allowedIps)
        finish()
        attributes = encodePeerAgain(peer)
        allowedIps = []
        bytes = sizeOf(attributes)
      }
      allowedIps.push(one)
      bytes += more
    }
    add(attributes, allowedIps)
  }
  if (messages.length === 0 || list.length > 0) finish()
  return messages
}

/** With the headers of the peer and of its list. */
const sizeOf = (attributes: readonly Attribute[]) => encodeAttributes(attributes).length + 8

function decodeDevice(messages: readonly Message[]): WireguardDevice {
  const [first] = messages
  if (!first) throw errors.ERR_NETLINK_MALFORMED({ what: 'an answer without a WireGuard link' })
  const attributes = decodeAttributes(first.body, GENL_HDRLEN)
  const read = <T>(type: number, reader: (value: Buffer) => T) => {
    const value = attributes.get(type)
    return value && reader(value)
  }
  return present({
    index: read(c.WGDEVICE_A_IFINDEX, readU32) ?? 0,
    name: read(c.WGDEVICE_A_IFNAME, readText) ?? '',
    publicKey: read(c.WGDEVICE_A_PUBLIC_KEY, (key) => (isNoKey(key) ? undefined : decodeKey(key))),
    listenPort: read(c.WGDEVICE_A_LISTEN_PORT, readU16) ?? 0,
    fwmark: read(c.WGDEVICE_A_FWMARK, readU32) ?? 0,
    peers: joined(messages.flatMap(peersIn)),
  })
}

function peersIn({ body }: Message): WireguardPeer[] {
  const list = decodeAttributes(body, GENL_HDRLEN).get(c.WGDEVICE_A_PEERS)
  return list ? listAttributes(list).map(([, peer]) => decodePeer(peer)) : []
}

/** A peer whose allowed IPs did not fit into a message is in the next one again, with the others of these and nothing else. */
function joined(peers: readonly WireguardPeer[]): WireguardPeer[] {
  const whole: WireguardPeer[] = []
  for (const peer of peers) {
    const before = whole.at(-1)
    if (before?.publicKey === peer.publicKey) before.allowedIps.push(...peer.allowedIps)
    else whole.push(peer)
  }
  return whole
}
