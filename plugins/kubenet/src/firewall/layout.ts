import {
  type BaseChain,
  type DataType,
  type HeaderField,
  header,
  type NewSet,
  priorities,
  type SetRef,
  type SetType,
  type TableRef,
} from '@podwire/netlink/nftables'
import type { AddressRange, IpFamily } from '../ipam/cidr.ts'
import type { PodNetwork } from '../ipam/network.ts'

/** The tables of one state directory, by the name that both have. */
export const tablesOf = (name: string) =>
  ({
    inet: { family: 'inet', table: name },
    bridge: { family: 'bridge', table: name },
  }) as const satisfies Record<string, TableRef>

/** What the rules depend on besides the published ports. */
export interface FirewallPlan {
  /** What the names of the pods' links begin with. */
  readonly linkPrefix: string
  readonly networks: readonly PodNetwork[]
  /** Destinations that see a pod's own address; undefined: all of them. */
  readonly direct: readonly AddressRange[] | undefined
  /** Whether a pod with a link of its own may reach itself by the host. */
  readonly hairpin: boolean
  /** How many connections each pod with a link of its own may have open that it began; 0: as many as the kernel takes. */
  readonly connections: number
  /** Drop what a promiscuous bridge delivers twice: its MAC address. */
  readonly dropDuplicatesFrom: string | undefined
}

/** How a family's addresses are written, and where they are in its header. */
export interface Layout {
  readonly nfproto: number
  readonly translation: 'ip' | 'ip6'
  readonly address: DataType
  readonly bytes: number
  readonly source: HeaderField
  readonly destination: HeaderField
}

export const layouts: Record<IpFamily, Layout> = {
  4: {
    nfproto: 2,
    translation: 'ip',
    address: 'ipv4_addr',
    bytes: 4,
    source: header.ip.saddr,
    destination: header.ip.daddr,
  },
  6: {
    nfproto: 10,
    translation: 'ip6',
    address: 'ipv6_addr',
    bytes: 16,
    source: header.ip6.saddr,
    destination: header.ip6.daddr,
  },
}

export type ChainName =
  | 'from-pods'
  | 'forward'
  | 'input'
  | 'host'
  | 'raw'
  | 'resolving'
  | 'prerouting'
  | 'output'
  | 'postrouting'

/** By name; those without a hook see what others send them. */
export const chains: Record<ChainName, BaseChain | undefined> = {
  'from-pods': undefined,
  resolving: undefined,
  forward: { type: 'filter', hook: 'forward', priority: priorities.filter },
  input: { type: 'filter', hook: 'input', priority: priorities.filter },
  // What the host sends to a published port has the pod's link only when the way of its new destination was looked up.
  host: { type: 'filter', hook: 'postrouting', priority: priorities.filter },
  raw: { type: 'filter', hook: 'prerouting', priority: priorities.raw },
  prerouting: { type: 'nat', hook: 'prerouting', priority: priorities.dstnat },
  output: { type: 'nat', hook: 'output', priority: priorities.dstnat },
  postrouting: { type: 'nat', hook: 'postrouting', priority: priorities.srcnat },
}

export const setNames = (family: IpFamily) => ({
  pods: `pods${family}`,
  direct: `direct${family}`,
  /** protocol . port → address . port */
  ports: `ports${family}`,
  /** address . protocol . port → address . port */
  addressPorts: `address-ports${family}`,
  /** name of a pod's link → address . port of the resolver that answers it */
  resolvers: `resolvers${family}`,
})

/** By the name of a pod's link: the chain of its policy, of what it sends and of what is sent to it. */
export const policyMaps = { egress: 'egress', ingress: 'ingress' } as const

/** Links of pods that ask other pods for names themselves, or the host, as far as their policy lets them: all else is answered. */
export const askingSets = { pods: 'asking-pods', host: 'asking-host' } as const

/** Holds, for each link, how much of what its policy denies is told. */
export const TOLD_SET = 'told'

/**
 * Counts the connections that pods began: by link, and by a number that says which part of the pod's connections. What there is none of
 * the kernel drops by itself.
 */
export const CONNECTIONS_SET = 'connections'

/** What policies have in common. */
export function policySets(table: TableRef): [SetRef, NewSet][] {
  const ref = (set: string): SetRef => ({ ...table, set })
  return [
    [ref(policyMaps.egress), { key: 'ifname', value: 'verdict' }],
    [ref(policyMaps.ingress), { key: 'ifname', value: 'verdict' }],
    ...Object.values(askingSets).map((set): [SetRef, NewSet] => [ref(set), { key: 'ifname' }]),
    [ref(TOLD_SET), { key: 'ifname', dynamic: true, timeout: 0, size: 65_535 }],
    [ref(CONNECTIONS_SET), { key: ['ifname', 'mark'], dynamic: true, size: 1 << 20 }],
  ]
}

export const families: readonly IpFamily[] = [4, 6]

/** The maps of published ports, with the family of what they lead to. */
export const portMaps = families.flatMap((family) => {
  const { ports, addressPorts } = setNames(family)
  return [
    { family, map: ports, keyBytes: 8 },
    { family, map: addressPorts, keyBytes: layouts[family].bytes + 8 },
  ]
})

/**
 * In each map of ports, from its beginning: what no packet looks for, as its protocol is a reserved number. A map without it
 * was flushed.
 */
export function sentinelOf({ family, keyBytes }: (typeof portMaps)[number]): MapElement {
  const key = Buffer.alloc(keyBytes)
  key[keyBytes - 8] = RESERVED_PROTOCOL
  return { key, value: Buffer.alloc(layouts[family].bytes + 4) }
}

const RESERVED_PROTOCOL = 255

/** An element of a map of ports. */
export interface MapElement {
  readonly key: Buffer
  readonly value: Buffer
}

export function setsOf(table: TableRef, family: IpFamily): [SetRef, NewSet][] {
  const { address } = layouts[family]
  const names = setNames(family)
  const value: SetType = [address, 'inet_service']
  const ref = (set: string): SetRef => ({ ...table, set })
  return [
    [ref(names.pods), { key: address, interval: true }],
    [ref(names.direct), { key: address, interval: true }],
    [ref(names.ports), { key: ['inet_proto', 'inet_service'], value }],
    [ref(names.addressPorts), { key: [address, 'inet_proto', 'inet_service'], value }],
    [ref(names.resolvers), { key: 'ifname', value }],
  ]
}
