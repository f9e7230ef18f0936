import { encodeIp } from '@podwire/netlink/transport'
import {
  type AddressRange,
  addressToNumber,
  type IpFamily,
  mergeRanges,
  numberToAddress,
} from '../ipam/cidr.ts'
import type { PodNetwork } from '../ipam/network.ts'
import { addElements, type Element } from './elements.ts'
import * as x from './expressions.ts'
import {
  addChain,
  addRule,
  addSet,
  addTable,
  type Chain,
  deleteTable,
  type FieldType,
  type SetLayout,
  type Step,
} from './nf-tables.ts'

export const TABLE = 'podwire'

/** What the rules depend on besides the published ports. */
export interface FirewallPlan {
  readonly bridge: string
  /** What the names of the pods' links on the bridge begin with. */
  readonly linkPrefix: string
  readonly networks: readonly PodNetwork[]
  /** Destinations that see a pod's own address; undefined: all of them. */
  readonly direct: readonly AddressRange[] | undefined
  /** Drop what a promiscuous bridge delivers twice: its MAC address. */
  readonly dropDuplicatesFrom: string | undefined
}

const types = {
  ipv4: { code: 7, bytes: 4 },
  ipv6: { code: 8, bytes: 16 },
  protocol: { code: 12, bytes: 4 },
  port: { code: 13, bytes: 4 },
} satisfies Record<string, FieldType>

/** Fields one after the other, each in whole registers, as `nft` writes `ipv4_addr . inet_service`. */
const joined = (...fields: FieldType[]): FieldType => ({
  code: fields.reduce((code, field) => (code << 6) | field.code, 0),
  bytes: fields.reduce((sum, field) => sum + field.bytes, 0),
})

/** Where the addresses are in a family's header. */
interface Layout {
  readonly nfproto: number
  readonly address: FieldType
  readonly source: number
  readonly destination: number
}

const layouts: Record<IpFamily, Layout> = {
  4: { nfproto: 2, address: types.ipv4, source: 12, destination: 16 },
  6: { nfproto: 10, address: types.ipv6, source: 8, destination: 24 },
}

export const setNames = (family: IpFamily) => ({
  pods: `pods${family}`,
  direct: `direct${family}`,
  /** protocol . port → address . port */
  ports: `ports${family}`,
  /** address . protocol . port → address . port */
  addressPorts: `address-ports${family}`,
})

const families: readonly IpFamily[] = [4, 6]

function setsOf(family: IpFamily): SetLayout[] {
  const { address } = layouts[family]
  const names = setNames(family)
  const target = joined(address, types.port)
  return [
    { name: names.pods, key: address, isInterval: true },
    { name: names.direct, key: address, isInterval: true },
    { name: names.ports, key: joined(types.protocol, types.port), value: target },
    { name: names.addressPorts, key: joined(address, types.protocol, types.port), value: target },
  ]
}

const chains: readonly Chain[] = [
  { table: TABLE, name: 'prerouting', type: 'nat', hook: 0, priority: -100 },
  { table: TABLE, name: 'output', type: 'nat', hook: 3, priority: -100 },
  { table: TABLE, name: 'postrouting', type: 'nat', hook: 4, priority: 100 },
  { table: TABLE, name: 'input', type: 'filter', hook: 1, priority: 0 },
]

/** Makes the tables anew, without published ports: whatever was in them is gone in the same transaction. */
export function rebuildTables(plan: FirewallPlan, userData: Buffer): Step[] {
  return [
    addTable('inet', TABLE),
    deleteTable('inet', TABLE),
    addTable('inet', TABLE, userData),
    ...families.flatMap(setsOf).map((set, index) => addSet('inet', TABLE, set, index + 1)),
    ...families.flatMap((family) => [
      ...fill(setNames(family).pods, plan.networks, family),
      ...fill(setNames(family).direct, [...plan.networks, ...(plan.direct ?? [])], family),
    ]),
    ...chains.map((chain) => addChain('inet', chain)),
    ...rules(plan).map(([chain, rule]) => addRule('inet', TABLE, chain, rule)),
    ...duplicatesFilter(plan),
  ]
}

/** How many rules the tables hold when nobody touched them. */
export const ruleCounts = (plan: FirewallPlan) => ({
  inet: rules(plan).length,
  bridge: plan.dropDuplicatesFrom ? duplicateRules(plan).length : 0,
})

function fill(set: string, ranges: readonly AddressRange[], family: IpFamily): Step[] {
  const bytes = (value: bigint) => encodeIp(numberToAddress(value, family))
  const highest = family === 4 ? 2n ** 32n - 1n : 2n ** 128n - 1n
  const elements = mergeRanges(ranges, family).flatMap(({ first, last }): Element[] => [
    { key: bytes(first) },
    ...(last === highest ? [] : [{ key: bytes(last + 1n), isIntervalEnd: true }]),
  ])
  return elements.length > 0 ? [addElements('inet', { table: TABLE, set }, elements)] : []
}

type Rule = ReturnType<typeof x.drop>[]

const RTN_UNICAST = u32Native(1)
const RTN_LOCAL = u32Native(2)
const IPS_DST_NAT = u32Native(1 << 5)
const NONE = u32Native(0)

type ChainRule = readonly [chain: string, rule: Rule]

function rules(plan: FirewallPlan): ChainRule[] {
  return [
    ...families.flatMap((family) => [...publishing(family), ...masquerading(family, plan)]),
    ...loopback(plan),
  ]
}

const isFamily = (family: IpFamily): Rule => [
  x.loadMeta('nfproto', x.R0),
  x.isEqual(x.R0, Buffer.of(layouts[family].nfproto)),
]
const source = ({ source, address }: Layout) => x.loadPayload('network', source, address.bytes, x.R0)
const destination = ({ destination, address }: Layout) =>
  x.loadPayload('network', destination, address.bytes, x.R0)
const isTranslated = ({ not }: { not: boolean }): Rule => [
  x.loadConnectionStatus(x.R0),
  x.mask(x.R0, IPS_DST_NAT),
  x.isEqual(x.R0, NONE, { not: !not }),
]
const LOOPBACK_V4 = Buffer.of(127)
const isLoopbackV4 = (offset: number): Rule => [
  x.loadPayload('network', offset, 1, x.R0),
  x.isEqual(x.R0, LOOPBACK_V4),
]

/** What comes for a published port of this host, from elsewhere or from the host itself, goes to the pod. */
function publishing(family: IpFamily): ChainRule[] {
  const layout = layouts[family]
  const names = setNames(family)
  const words = layout.address.bytes / 4
  const isLocal: Rule = [
    ...isFamily(family),
    // Linux lets nothing for ::1 leave the host: it is refused at once this way.
    ...(family === 6 ? [destination(layout), x.isEqual(x.R0, encodeIp('::1'), { not: true })] : []),
    x.loadDestinationType(x.R0),
    x.isEqual(x.R0, RTN_LOCAL),
  ]
  const protocolAndPort = (at: number): Rule => [
    x.loadMeta('l4proto', at),
    x.loadPayload('transport', 2, 2, at + 1),
  ]
  const toPod = x.dnat(layout.nfproto, x.R0, x.R0 + words)
  const onAddress: Rule = [
    ...isLocal,
    destination(layout),
    ...protocolAndPort(x.R0 + words),
    x.findIn(names.addressPorts, x.R0),
    toPod,
  ]
  const onAny: Rule = [...isLocal, ...protocolAndPort(x.R0), x.findIn(names.ports, x.R0), toPod]
  return [onAddress, onAny].flatMap((rule): ChainRule[] => [
    ['prerouting', rule],
    ['output', rule],
  ])
}

function masquerading(family: IpFamily, { direct }: FirewallPlan): ChainRule[] {
  const layout = layouts[family]
  const { pods, direct: exceptions } = setNames(family)
  const fromPod: Rule = [...isFamily(family), source(layout), x.isIn(pods, x.R0)]
  // A pod that reaches a pod, itself perhaps, by a port of the host: the answer must come back through the host.
  const podToPod: Rule = [
    ...fromPod,
    destination(layout),
    x.isIn(pods, x.R0),
    ...isTranslated({ not: false }),
    x.masquerade(),
  ]
  const podToOutside: Rule = [
    ...fromPod,
    destination(layout),
    x.isIn(exceptions, x.R0, { not: true }),
    x.loadDestinationType(x.R0),
    x.isEqual(x.R0, RTN_UNICAST),
    x.masquerade(),
  ]
  return [['postrouting', podToPod], ...(direct ? [['postrouting', podToOutside] as const] : [])]
}

/** The host reaches published ports by 127.0.0.1, and pods don't reach the host by it though route_localnet lets them in. */
function loopback({ bridge }: FirewallPlan): ChainRule[] {
  const layout = layouts[4]
  const hostToPod: Rule = [
    ...isFamily(4),
    ...isLoopbackV4(layout.source),
    destination(layout),
    x.isIn(setNames(4).pods, x.R0),
    x.masquerade(),
  ]
  const podToHost: Rule = [
    x.loadMeta('iifname', x.R0),
    x.isEqual(x.R0, linkName(bridge)),
    ...isFamily(4),
    ...isLoopbackV4(layout.destination),
    ...isTranslated({ not: true }),
    x.drop(),
  ]
  return [
    ['postrouting', hostToPod],
    ['input', podToHost],
  ]
}

/** A promiscuous bridge both forwards a pod's packet and lets the host route it back: the second one is dropped. */
function duplicatesFilter(plan: FirewallPlan): Step[] {
  if (!plan.dropDuplicatesFrom) return []
  return [
    addTable('bridge', TABLE),
    deleteTable('bridge', TABLE),
    addTable('bridge', TABLE),
    addChain('bridge', { table: TABLE, name: 'output', type: 'filter', hook: 3, priority: 0 }),
    ...duplicateRules(plan).map((rule) => addRule('bridge', TABLE, 'output', rule)),
  ]
}

function duplicateRules({ dropDuplicatesFrom, linkPrefix, networks }: FirewallPlan): Rule[] {
  const mac = Buffer.from((dropDuplicatesFrom ?? '').replaceAll(':', ''), 'hex')
  return networks.flatMap((network): Rule[] => {
    const etherType = Buffer.from(network.family === 4 ? '0800' : '86dd', 'hex')
    const fromBridge: Rule = [
      x.loadMeta('oifname', x.R0),
      x.isEqual(x.R0, Buffer.from(linkPrefix)),
      x.loadPayload('link', 6, 6, x.R0),
      x.isEqual(x.R0, mac),
      x.loadMeta('protocol', x.R0),
      x.isEqual(x.R0, etherType),
    ]
    const from = source(layouts[network.family])
    const prefix = encodeIp(numberToAddress(network.first, network.family))
    const netmask = encodeIp(numberToAddress(netmaskOf(network), network.family))
    return [
      [...fromBridge, from, x.isEqual(x.R0, encodeIp(network.gateway)), x.accept()],
      [...fromBridge, from, x.mask(x.R0, netmask), x.isEqual(x.R0, prefix), x.drop()],
    ]
  })
}

const netmaskOf = ({ first, last, family }: PodNetwork) =>
  addressToNumber(family === 4 ? '255.255.255.255' : 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff') ^
  (last - first)

const linkName = (name: string) => Buffer.from(name.padEnd(16, '\0'))

function u32Native(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
