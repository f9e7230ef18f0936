import { errors } from '../errors.ts'
import type { Netns } from '../namespaces.ts'
import { linkName } from '../socket/link-index.ts'
import type { LinkRef, Request, Scope } from '../socket/request.ts'
import type { Attribute } from '../wire/attributes.ts'
import { be16, flag, text, u8, u32 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_INET, AF_INET6, AF_UNSPEC, encodeIp, encodeMac, familyOf } from '../wire/ip.ts'
import type { Message } from '../wire/message.ts'
import {
  type AddrGenMode,
  addrGenModes,
  decodeLink,
  decodeLinkBrief,
  encodeLink,
  type Ipv4Settings,
  ipv4SettingNames,
  ipv4SettingNumbers,
  type Link,
  type LinkBrief,
} from './link.ts'
import { ADD, change, dump } from './request.ts'

/** What any link can be given, when it is made or later. What is left out stays as it is. */
export interface LinkSettings {
  /** In bytes. */
  mtu?: number
  /** MAC address. */
  address?: string
  txQueueLength?: number
  /** Links of a group are deleted together by `delGroup`; 0 is everyone's. */
  group?: number
  up?: boolean
  promiscuous?: boolean
  /** Without it the link neither asks nor answers who has an IPv4 address, and learns nothing of it. */
  arp?: boolean
  /** The bridge to be a port of; null for none. */
  master?: LinkRef | null
  alias?: string
  /** The namespace to be made in or to move to. */
  netns?: Netns
}

interface NewLinkSettings extends LinkSettings {
  name: string
  /** The index to have, for others of the same batch to refer to; else the kernel's choice. */
  index?: number
  /** Queues to send by, and as many to receive by; else the kernel's choice, for a veth one for each processor. */
  queues?: number
}

/** The other end of a veth, down at first: the kernel can't do otherwise. It takes an `index` only if the first end has one. */
export type VethPeer = Omit<NewLinkSettings, 'master' | 'alias' | 'promiscuous' | 'up'>

export type NewLink =
  | (NewLinkSettings & { kind: 'veth'; peer: VethPeer })
  | (NewLinkSettings & { kind: 'bridge' } & BridgeSettings)
  | (NewLinkSettings & { kind: 'vxlan' } & VxlanSettings)
  | (NewLinkSettings & { kind: 'dummy' | 'ifb' | 'wireguard' })

export interface BridgeSettings {
  /** In hundredths of a second. */
  forwardDelay?: number
  /** How long a learnt MAC address is kept, in hundredths of a second. */
  ageingTime?: number
  stp?: boolean
  vlanFiltering?: boolean
  /** Learn which ports want which multicast groups, instead of sending those frames to all. */
  multicastSnooping?: boolean
}

export interface VxlanSettings {
  /** VXLAN network identifier, 24 bits. */
  vni: number
  /** The link to send through. */
  dev?: LinkRef
  local?: string
  /** The remote end, or the multicast group of all ends. */
  remote?: string
  /** UDP port; default: 4789. */
  port?: number
  learning?: boolean
}

export interface BridgePortSettings {
  /** Let frames through. A port that is disabled is cut off at once; taking it from the bridge waits for the kernel. */
  enabled?: boolean
  /** Send a frame back through the port it came from. */
  hairpin?: boolean
  learning?: boolean
  /** Send frames for unknown MAC addresses through this port. */
  flood?: boolean
  /** Isolated ports don't talk to each other. */
  isolated?: boolean
}

/** Makes a link; a veth with both its ends, the peer right in its namespace. Errors: `EEXIST`, `EOPNOTSUPP`. */
export function add(link: NewLink): Request<void> {
  return change(`add link ${link.name}`, c.RTM_NEWLINK, ADD, (scope) =>
    newLink(link, scope, [
      [
        c.IFLA_LINKINFO,
        [
          [c.IFLA_INFO_KIND, Buffer.from(link.kind)],
          [c.IFLA_INFO_DATA, kindAttributes(link, scope)],
        ],
      ],
    ]),
  )
}

/** What only a link that is there can be given. */
export interface LinkChanges extends LinkSettings {
  /** The name to have from now on. */
  name?: string
  addrGenMode?: AddrGenMode
  /** What /proc/sys/net/ipv4/conf/LINK holds, of a link of the socket's own namespace. */
  ipv4?: Ipv4Settings
  /** Of a link that is a port of a bridge. */
  bridgePort?: BridgePortSettings
}

/** Changes a link. Errors: `ENODEV`, `EBUSY` for a name that is taken by an alias, `EOPNOTSUPP` for `bridgePort` of no port … */
export function set(link: LinkRef, changes: LinkChanges): Request<void> {
  const { addrGenMode, ipv4, bridgePort, name, ...common } = changes
  // What is a port's alone is taken from a message of the other type only.
  const type = bridgePort ? c.RTM_NEWLINK : c.RTM_SETLINK
  return change(`set link ${link}`, type, 0, (scope) =>
    encodeLink({
      ...flagsOf(common),
      // The message holds one name: the new one takes the place of the old.
      index: name === undefined ? indexOf(link) : scope.index(link),
      attributes: [
        name === undefined ? nameOf(link) : [c.IFLA_IFNAME, linkName(name)],
        ...commonAttributes(common, scope),
        [
          c.IFLA_AF_SPEC,
          (addrGenMode || ipv4) && [
            [AF_INET, ipv4 && [[c.IFLA_INET_CONF, ipv4Attributes(ipv4)]]],
            [AF_INET6, addrGenMode && [[c.IFLA_INET6_ADDR_GEN_MODE, u8(addrGenModes.indexOf(addrGenMode))]]],
          ],
        ],
        [c.IFLA_LINKINFO, bridgePort && [[c.IFLA_INFO_SLAVE_DATA, portAttributes(bridgePort)]]],
      ],
    }),
  )
}

// Each setting's number is the attribute's type.
const ipv4Attributes = (settings: Ipv4Settings): Attribute[] =>
  ipv4SettingNames.map((name) => [ipv4SettingNumbers[name], numberOrNone(settings[name])])

function portAttributes({ enabled, hairpin, learning, flood, isolated }: BridgePortSettings): Attribute[] {
  return [
    [c.IFLA_BRPORT_STATE, enabled === undefined ? undefined : u8(portState(enabled))],
    [c.IFLA_BRPORT_MODE, flagOrNone(hairpin)],
    [c.IFLA_BRPORT_LEARNING, flagOrNone(learning)],
    [c.IFLA_BRPORT_UNICAST_FLOOD, flagOrNone(flood)],
    [c.IFLA_BRPORT_ISOLATED, flagOrNone(isolated)],
  ]
}

// The kernel looks a name up itself: the link may be one that is made earlier in the same batch.
const indexOf = (link: LinkRef) => (typeof link === 'number' ? link : 0)
const nameOf = (link: LinkRef): Attribute => [
  c.IFLA_IFNAME,
  typeof link === 'number' ? undefined : linkName(link),
]

/**
 * Deletes a link; of a veth both ends. The kernel waits some 20 ms until nobody uses it any more: `run` it, don't
 * `runSync`. Errors: `ENODEV`.
 */
export function del(link: LinkRef): Request<void> {
  return change(`delete link ${link}`, c.RTM_DELLINK, 0, () =>
    encodeLink({ index: indexOf(link), attributes: [nameOf(link)] }),
  )
}

/** Deletes all links of a group, with one wait for all of them. Errors: `ENODEV` for an empty group. */
export function delGroup(group: number): Request<void> {
  return change(`delete link group ${group}`, c.RTM_DELLINK, 0, () =>
    encodeLink({ attributes: [[c.IFLA_GROUP, u32(group)]] }),
  )
}

/** One link. Errors: `ENODEV`. */
export const get = (link: LinkRef): Request<Link> => getAs(link, 0, decodeLink)

/** The same in a third of the time. Errors: `ENODEV`. */
export const brief = (link: LinkRef): Request<LinkBrief> =>
  getAs(link, c.RTEXT_FILTER_SKIP_STATS, decodeLinkBrief)

function getAs<T>(link: LinkRef, mask: number, decode: (message: Message) => T): Request<T> {
  return {
    operation: `get link ${link}`,
    protocol: c.NETLINK_ROUTE,
    type: c.RTM_GETLINK,
    flags: c.NLM_F_ACK,
    body: () =>
      encodeLink({ index: indexOf(link), attributes: [nameOf(link), [c.IFLA_EXT_MASK, u32(mask)]] }),
    parse([message]) {
      if (!message) throw errors.ERR_NETLINK_MALFORMED({ what: 'an answer without a link' })
      return decode(message)
    },
  }
}

/** The links, all or those that agree with what is given. */
export function list({ kind, group }: { kind?: string; group?: number } = {}): Request<Link[]> {
  return dump(
    'list links',
    [c.RTM_GETLINK, c.RTM_NEWLINK],
    () =>
      encodeLink({
        family: AF_UNSPEC,
        attributes: [
          [c.IFLA_LINKINFO, kind === undefined ? undefined : [[c.IFLA_INFO_KIND, Buffer.from(kind)]]],
        ],
      }),
    decodeLink,
    (link) => (kind === undefined || link.kind === kind) && (group === undefined || link.group === group),
  )
}

function newLink(link: NewLinkSettings, scope: Scope, more: Attribute[] = []): Buffer {
  return encodeLink({
    index: link.index ?? 0,
    ...flagsOf(link),
    attributes: [
      [c.IFLA_IFNAME, linkName(link.name)],
      [c.IFLA_NUM_TX_QUEUES, numberOrNone(link.queues)],
      [c.IFLA_NUM_RX_QUEUES, numberOrNone(link.queues)],
      ...commonAttributes(link, scope),
      ...more,
    ],
  })
}

function flagsOf({ up, promiscuous, arp }: LinkSettings): { flags: number; change: number } {
  const bit = (value: boolean | undefined, flag: number) => (value ? flag : 0)
  return {
    flags: bit(up, c.IFF_UP) | bit(promiscuous, c.IFF_PROMISC) | bit(arp === false, c.IFF_NOARP),
    change:
      bit(up !== undefined, c.IFF_UP) |
      bit(promiscuous !== undefined, c.IFF_PROMISC) |
      bit(arp !== undefined, c.IFF_NOARP),
  }
}

function commonAttributes(settings: LinkSettings, scope: Scope): Attribute[] {
  const { mtu, address, txQueueLength, group, master, alias, netns } = settings
  return [
    [c.IFLA_MTU, numberOrNone(mtu)],
    [c.IFLA_ADDRESS, address === undefined ? undefined : encodeMac(address)],
    [c.IFLA_TXQLEN, numberOrNone(txQueueLength)],
    [c.IFLA_GROUP, numberOrNone(group)],
    [c.IFLA_MASTER, master === undefined ? undefined : u32(master === null ? 0 : scope.index(master))],
    [c.IFLA_IFALIAS, alias === undefined ? undefined : text(alias)],
    [c.IFLA_NET_NS_FD, netns === undefined ? undefined : u32(scope.netnsFd(netns))],
  ]
}

function kindAttributes(link: NewLink, scope: Scope): Attribute[] | undefined {
  switch (link.kind) {
    case 'veth':
      return [[c.VETH_INFO_PEER, newLink(link.peer, scope)]]
    case 'bridge':
      return [
        [c.IFLA_BR_FORWARD_DELAY, numberOrNone(link.forwardDelay)],
        [c.IFLA_BR_AGEING_TIME, numberOrNone(link.ageingTime)],
        [c.IFLA_BR_STP_STATE, link.stp === undefined ? undefined : u32(link.stp ? 1 : 0)],
        [c.IFLA_BR_VLAN_FILTERING, flagOrNone(link.vlanFiltering)],
        [c.IFLA_BR_MCAST_SNOOPING, flagOrNone(link.multicastSnooping)],
      ]
    case 'vxlan':
      return [
        [c.IFLA_VXLAN_ID, u32(link.vni)],
        [c.IFLA_VXLAN_LINK, link.dev === undefined ? undefined : u32(scope.index(link.dev))],
        ipAttribute(link.local, c.IFLA_VXLAN_LOCAL, c.IFLA_VXLAN_LOCAL6),
        ipAttribute(link.remote, c.IFLA_VXLAN_GROUP, c.IFLA_VXLAN_GROUP6),
        [c.IFLA_VXLAN_PORT, be16(link.port ?? 4789)],
        [c.IFLA_VXLAN_LEARNING, flag(link.learning ?? true)],
      ]
    default:
      return undefined
  }
}

function ipAttribute(address: string | undefined, v4: number, v6: number): Attribute {
  if (address === undefined) return [v4, undefined]
  return [familyOf(address) === AF_INET6 ? v6 : v4, encodeIp(address)]
}

// BR_STATE_FORWARDING and BR_STATE_DISABLED.
const portState = (enabled: boolean) => (enabled ? 3 : 0)

const numberOrNone = (value: number | undefined) => (value === undefined ? undefined : u32(value))
const flagOrNone = (value: boolean | undefined) => (value === undefined ? undefined : flag(value))
