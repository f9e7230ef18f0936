import type { Attribute } from '../codec/attributes.ts'
import { be16, flag, text, u8, u32 } from '../codec/bytes.ts'
import * as c from '../codec/constants.ts'
import { AF_BRIDGE, AF_INET6, AF_UNSPEC, encodeIp, encodeMac, familyOf } from '../codec/ip.ts'
import { type AddrGenMode, addrGenModes, decodeLink, encodeLink, type Link } from '../codec/link.ts'
import { malformed } from '../errors.ts'
import type { Netns } from '../namespaces.ts'
import type { LinkRef, Request, Scope } from '../request.ts'
import { linkName } from './link-index.ts'
import { ADD, change, dump } from './route-request.ts'

/** What any link can be given, at its birth or later. What is left out stays as it is. */
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
  /** The bridge to be a port of; null for none. */
  master?: LinkRef | null
  alias?: string
  /** The namespace to be born in or to move to. */
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
  | (NewLinkSettings & { kind: 'dummy' | 'ifb' })

export interface BridgeSettings {
  /** In hundredths of a second. */
  forwardDelay?: number
  /** How long a learnt MAC address is kept, in hundredths of a second. */
  ageingTime?: number
  stp?: boolean
  vlanFiltering?: boolean
}

export interface VxlanSettings {
  /** VXLAN network identifier, 24 bits. */
  vni: number
  /** The link to send through. */
  dev?: LinkRef
  local?: string
  /** The remote end, or the multicast group of all ends. */
  remote?: string
  /** UDP port, 4789 unless told otherwise. */
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

/** Changes a link. Errors: `ENODEV`, `EBUSY` for a name that is taken by an alias … */
export function set(
  link: LinkRef,
  settings: LinkSettings & { name?: string; addrGenMode?: AddrGenMode },
): Request<void> {
  const { addrGenMode, name, ...common } = settings
  return change(`set link ${link}`, c.RTM_SETLINK, 0, (scope) =>
    encodeLink({
      // An index: beside IFLA_IFNAME of a link given by name there would be no room for the new name.
      index: scope.index(link),
      ...flagsOf(common),
      attributes: [
        ...commonAttributes(common, scope),
        [c.IFLA_IFNAME, name === undefined ? undefined : linkName(name)],
        [
          c.IFLA_AF_SPEC,
          addrGenMode && [[AF_INET6, [[c.IFLA_INET6_ADDR_GEN_MODE, u8(addrGenModes.indexOf(addrGenMode))]]]],
        ],
      ],
    }),
  )
}

/** Changes what a bridge does with one of its ports. Errors: `ENODEV`, `EINVAL` for a link that is no port. */
export function setBridgePort(link: LinkRef, settings: BridgePortSettings): Request<void> {
  return change(`set bridge port ${link}`, c.RTM_SETLINK, 0, (scope) =>
    encodeLink({
      family: AF_BRIDGE,
      index: scope.index(link),
      attributes: [
        [
          c.IFLA_PROTINFO,
          [
            [
              c.IFLA_BRPORT_STATE,
              settings.enabled === undefined ? undefined : u8(portState(settings.enabled)),
            ],
            [c.IFLA_BRPORT_MODE, flagOrNone(settings.hairpin)],
            [c.IFLA_BRPORT_LEARNING, flagOrNone(settings.learning)],
            [c.IFLA_BRPORT_UNICAST_FLOOD, flagOrNone(settings.flood)],
            [c.IFLA_BRPORT_ISOLATED, flagOrNone(settings.isolated)],
          ],
        ],
      ],
    }),
  )
}

/**
 * Deletes a link; of a veth both ends. The kernel waits some 20 ms until nobody uses it any more: `run` it, don't
 * `runSync`. Errors: `ENODEV`.
 */
export function del(link: LinkRef): Request<void> {
  return change(`delete link ${link}`, c.RTM_DELLINK, 0, (scope) => encodeLink({ index: scope.index(link) }))
}

/** Deletes all links of a group, with one wait for all of them. Errors: `ENODEV` for an empty group. */
export function delGroup(group: number): Request<void> {
  return change(`delete link group ${group}`, c.RTM_DELLINK, 0, () =>
    encodeLink({ attributes: [[c.IFLA_GROUP, u32(group)]] }),
  )
}

/** One link. Errors: `ENODEV`. */
export function get(link: LinkRef): Request<Link> {
  return {
    operation: `get link ${link}`,
    protocol: c.NETLINK_ROUTE,
    type: c.RTM_GETLINK,
    flags: c.NLM_F_ACK,
    body: () =>
      typeof link === 'number'
        ? encodeLink({ index: link })
        : encodeLink({ attributes: [[c.IFLA_IFNAME, linkName(link)]] }),
    parse([message]) {
      if (!message) throw malformed('an answer without a link')
      return decodeLink(message)
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

function flagsOf({ up, promiscuous }: LinkSettings): { flags: number; change: number } {
  const bit = (value: boolean | undefined, flag: number) => (value ? flag : 0)
  return {
    flags: bit(up, c.IFF_UP) | bit(promiscuous, c.IFF_PROMISC),
    change: bit(up !== undefined, c.IFF_UP) | bit(promiscuous !== undefined, c.IFF_PROMISC),
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
