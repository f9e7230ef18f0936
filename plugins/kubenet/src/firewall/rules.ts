import { encodeIp } from '@podwire/netlink/transport'
import { addressToNumber, type IpFamily, numberToAddress } from '../ipam/cidr.ts'
import type { PodNetwork } from '../ipam/network.ts'
import * as x from './expressions.ts'
import { type FirewallPlan, families, type Layout, layouts, setNames } from './layout.ts'

export type Rule = ReturnType<typeof x.drop>[]

const RTN_UNICAST = u32Native(1)
const RTN_LOCAL = u32Native(2)
const IPS_DST_NAT = u32Native(1 << 5)
const NONE = u32Native(0)

export type ChainRule = readonly [chain: string, rule: Rule]

/** The rules of the inet table, each with its chain. */
export function rules(plan: FirewallPlan): ChainRule[] {
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

/** Of what comes from the bridge itself under a pod's address, the gateway's alone passes to the pods. */
export function duplicateRules({ dropDuplicatesFrom, linkPrefix, networks }: FirewallPlan): Rule[] {
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
