import {
  type Attribute,
  type Attributes,
  decodeAttributes,
  encodeAttributes,
  findAttribute,
  nested,
  optional,
  present,
} from '../wire/attributes.ts'
import { readBe16, readI32, readText, readU8, readU32, readU64, slice } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_INET, AF_INET6, AF_UNSPEC, decodeIp, decodeMac } from '../wire/ip.ts'
import type { Message } from '../wire/message.ts'

/** What of a link is quick to read. */
export interface LinkBrief {
  index: number
  up: boolean
  /** The carrier is there: both ends of a veth are up. */
  running: boolean
  /** Index of the link below or, of a veth, of its peer: in the namespace `linkNetnsId` when that is given. */
  link?: number
}

/** A link as the kernel describes it. What doesn't apply is absent. */
export interface Link extends LinkBrief {
  name: string
  loopback: boolean
  pointToPoint: boolean
  promiscuous: boolean
  arp: boolean
  /** In bytes. */
  mtu: number
  group: number
  txQueueLength: number
  operState: OperState
  /** How many asked for promiscuous mode, bridges included. */
  promiscuity: number
  /** MAC address. */
  address?: string
  broadcast?: string
  /** Index of the bridge or other device this link is a port of. */
  master?: number
  linkNetnsId?: number
  alias?: string
  /** `veth`, `bridge`, `vxlan`, `wireguard` … */
  kind?: string
  addrGenMode?: AddrGenMode
  ipv4?: Required<Ipv4Settings>
  bridge?: BridgeState
  bridgePort?: BridgePortState
  vxlan?: VxlanState
  statistics?: LinkStatistics
}

export type OperState = 'unknown' | 'notpresent' | 'down' | 'lowerlayerdown' | 'testing' | 'dormant' | 'up'
/** How a link makes its IPv6 link-local address; `none` makes none. */
export type AddrGenMode = 'eui64' | 'none' | 'stable_secret' | 'random'

/** Some of /proc/sys/net/ipv4/conf/LINK, by the names there. Not heeded where `all` says more: see ip-sysctl of the kernel. */
export interface Ipv4Settings {
  proxy_arp?: number
  accept_redirects?: number
  send_redirects?: number
  /** 1: packets whose source isn't reached by this link are dropped. */
  rp_filter?: number
  /** 1: addresses of the loopback net pass. */
  route_localnet?: number
}

// linux/ip.h: IPV4_DEVCONF_…
export const ipv4SettingNumbers: Readonly<Record<keyof Ipv4Settings, number>> = {
  proxy_arp: 3,
  accept_redirects: 4,
  send_redirects: 6,
  rp_filter: 8,
  route_localnet: 26,
}
export const ipv4SettingNames = Object.keys(ipv4SettingNumbers) as (keyof Ipv4Settings)[] // the keys above

export interface BridgeState {
  /** In hundredths of a second. */
  forwardDelay: number
  /** In hundredths of a second. */
  ageingTime: number
  stp: boolean
  vlanFiltering: boolean
  multicastSnooping: boolean
}

export interface BridgePortState {
  hairpin: boolean
  learning: boolean
  flood: boolean
  isolated: boolean
}

export interface VxlanState {
  vni: number
  /** Index of the link it sends through. */
  link?: number
  local?: string
  /** The remote end, or the multicast group of all ends. */
  remote?: string
  port: number
  learning: boolean
}

/** Since the link was made. */
export interface LinkStatistics {
  rxPackets: number
  txPackets: number
  rxBytes: number
  txBytes: number
  rxErrors: number
  txErrors: number
  rxDropped: number
  txDropped: number
}

const operStates: readonly OperState[] = [
  'unknown',
  'notpresent',
  'down',
  'lowerlayerdown',
  'testing',
  'dormant',
  'up',
]
export const addrGenModes: readonly AddrGenMode[] = ['eui64', 'none', 'stable_secret', 'random']

/** struct ifinfomsg and the attributes after it. */
export interface LinkMessage {
  family?: number
  index?: number
  flags?: number
  change?: number
  attributes?: readonly Attribute[]
}

export function encodeLink({
  family = AF_UNSPEC,
  index = 0,
  flags = 0,
  change = 0,
  attributes = [],
}: LinkMessage): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt8(family, 0)
  header.writeInt32LE(index, 4)
  header.writeUInt32LE(flags, 8)
  header.writeUInt32LE(change, 12)
  return encodeAttributes(attributes, header)
}

export function decodeLinkBrief({ body }: Message): LinkBrief {
  const flags = readU32(slice(body, 0, 16), 8)
  const link = findAttribute(body, 16, c.IFLA_LINK)
  return {
    index: readI32(body, 4),
    up: (flags & c.IFF_UP) !== 0,
    running: (flags & c.IFF_RUNNING) !== 0,
    ...(link && { link: readU32(link) }),
  }
}

export function decodeLink({ body }: Message): Link {
  const flags = readU32(slice(body, 0, 16), 8)
  const has = (flag: number) => (flags & flag) !== 0
  const attributes = decodeAttributes(body, 16)
  const read = <T>(type: number, reader: (bytes: Buffer) => T) => optional(attributes, type, reader)
  const info = nested(attributes, c.IFLA_LINKINFO)
  const kind = optional(info, c.IFLA_INFO_KIND, readText)
  const isPort = optional(info, c.IFLA_INFO_SLAVE_KIND, readText) === 'bridge'
  return present({
    index: readI32(body, 4),
    name: read(c.IFLA_IFNAME, readText) ?? '',
    up: has(c.IFF_UP),
    running: has(c.IFF_RUNNING),
    loopback: has(c.IFF_LOOPBACK),
    pointToPoint: has(c.IFF_POINTOPOINT),
    promiscuous: has(c.IFF_PROMISC),
    arp: !has(c.IFF_NOARP),
    mtu: read(c.IFLA_MTU, readU32) ?? 0,
    group: read(c.IFLA_GROUP, readU32) ?? 0,
    txQueueLength: read(c.IFLA_TXQLEN, readU32) ?? 0,
    operState: operStates[read(c.IFLA_OPERSTATE, readU8) ?? 0] ?? 'unknown',
    promiscuity: read(c.IFLA_PROMISCUITY, readU32) ?? 0,
    address: read(c.IFLA_ADDRESS, decodeMac),
    broadcast: read(c.IFLA_BROADCAST, decodeMac),
    master: read(c.IFLA_MASTER, readU32),
    link: read(c.IFLA_LINK, readU32),
    linkNetnsId: read(c.IFLA_LINK_NETNSID, readI32),
    alias: read(c.IFLA_IFALIAS, readText),
    kind,
    addrGenMode: decodeAddrGenMode(attributes),
    ipv4: decodeIpv4(attributes),
    bridge: kind === 'bridge' ? decodeBridge(nested(info, c.IFLA_INFO_DATA)) : undefined,
    bridgePort: isPort ? decodeBridgePort(nested(info, c.IFLA_INFO_SLAVE_DATA)) : undefined,
    vxlan: kind === 'vxlan' ? decodeVxlan(nested(info, c.IFLA_INFO_DATA)) : undefined,
    statistics: read(c.IFLA_STATS64, decodeStatistics),
  })
}

function decodeAddrGenMode(attributes: Attributes): AddrGenMode | undefined {
  const inet6 = nested(nested(attributes, c.IFLA_AF_SPEC), AF_INET6)
  return addrGenModes[optional(inet6, c.IFLA_INET6_ADDR_GEN_MODE, readU8) ?? -1]
}

// An array of 32-bit numbers, the first of which is number 1.
function decodeIpv4(attributes: Attributes): Required<Ipv4Settings> | undefined {
  const inet = nested(nested(attributes, c.IFLA_AF_SPEC), AF_INET)
  const values = optional(inet, c.IFLA_INET_CONF, (bytes) => bytes)
  if (!values) return undefined
  const at = (name: keyof Ipv4Settings) => {
    const offset = 4 * (ipv4SettingNumbers[name] - 1)
    return offset + 4 <= values.length ? readU32(values, offset) : 0
  }
  return {
    proxy_arp: at('proxy_arp'),
    accept_redirects: at('accept_redirects'),
    send_redirects: at('send_redirects'),
    rp_filter: at('rp_filter'),
    route_localnet: at('route_localnet'),
  }
}

function decodeBridge(fields: Attributes): BridgeState {
  return {
    forwardDelay: optional(fields, c.IFLA_BR_FORWARD_DELAY, readU32) ?? 0,
    ageingTime: optional(fields, c.IFLA_BR_AGEING_TIME, readU32) ?? 0,
    stp: optional(fields, c.IFLA_BR_STP_STATE, readU32) === 1,
    vlanFiltering: optional(fields, c.IFLA_BR_VLAN_FILTERING, readU8) === 1,
    multicastSnooping: optional(fields, c.IFLA_BR_MCAST_SNOOPING, readU8) === 1,
  }
}

function decodeBridgePort(fields: Attributes): BridgePortState {
  const isSet = (type: number) => optional(fields, type, readU8) === 1
  return {
    hairpin: isSet(c.IFLA_BRPORT_MODE),
    learning: isSet(c.IFLA_BRPORT_LEARNING),
    flood: isSet(c.IFLA_BRPORT_UNICAST_FLOOD),
    isolated: isSet(c.IFLA_BRPORT_ISOLATED),
  }
}

function decodeVxlan(fields: Attributes): VxlanState {
  return present({
    vni: optional(fields, c.IFLA_VXLAN_ID, readU32) ?? 0,
    link: optional(fields, c.IFLA_VXLAN_LINK, readU32),
    local: optional(fields, c.IFLA_VXLAN_LOCAL, decodeIp) ?? optional(fields, c.IFLA_VXLAN_LOCAL6, decodeIp),
    remote: optional(fields, c.IFLA_VXLAN_GROUP, decodeIp) ?? optional(fields, c.IFLA_VXLAN_GROUP6, decodeIp),
    port: optional(fields, c.IFLA_VXLAN_PORT, readBe16) ?? 0,
    learning: optional(fields, c.IFLA_VXLAN_LEARNING, readU8) === 1,
  })
}

function decodeStatistics(bytes: Buffer): LinkStatistics {
  const at = (position: number) => readU64(bytes, 8 * position)
  return {
    rxPackets: at(0),
    txPackets: at(1),
    rxBytes: at(2),
    txBytes: at(3),
    rxErrors: at(4),
    txErrors: at(5),
    rxDropped: at(6),
    txDropped: at(7),
  }
}
