import {
  accept,
  between,
  connectionLimit,
  ct,
  ctOriginal,
  differs,
  dnat,
  drop,
  type Expression,
  equals,
  fib,
  type HeaderField,
  hashOf,
  header,
  isIn,
  isNotIn,
  linkName,
  mapped,
  mask,
  masquerade,
  meta,
  payload,
  updateSet,
  verdict,
  verdictOf,
} from '@podwire/netlink/nftables'
import { be16, encodeIp, u8, u32 } from '@podwire/netlink/transport'
import { addressToNumber, type IpFamily, numberToAddress } from '../ipam/cidr.ts'
import type { PodNetwork } from '../ipam/network.ts'
import {
  askingSets,
  type ChainName,
  CONNECTIONS_SET,
  type FirewallPlan,
  families,
  layouts,
  policyMaps,
  setNames,
} from './layout.ts'

export type Rule = readonly Expression[]

const RTN_UNICAST = u32(1)
export const RTN_LOCAL = u32(2)
const IPS_DST_NAT = u32(1 << 5)
const CT_ESTABLISHED = 2
export const CT_RELATED = 4
const CT_NEW = 8
export const NONE = u32(0)
const IPPROTO_TCP = 6
const IPPROTO_UDP = 17
const DNS_PORT = 53
const IPPROTO_ICMPV6 = 58
// Solicitations and advertisements of routers and neighbours, and redirects: RFC 4861.
const ND_ROUTER_SOLICIT = 133
const ND_REDIRECT = 137

export type ChainRule = readonly [chain: ChainName, rule: Rule]

/** The rules of the inet table, each with its chain. */
export function rules(plan: FirewallPlan): ChainRule[] {
  return [
    ...resolving(),
    ...families.flatMap((family) => [...publishing(family), ...masquerading(family, plan)]),
    ...loopback(),
    ...fromPods(plan),
    ...families.map((family) => fromElsewhere(family, plan)),
    ...policies(plan),
  ]
}

export const isFamily = (family: IpFamily): Rule => [meta('nfproto'), equals(u8(layouts[family].nfproto))]
export const isTranslated: Rule = [ct('status'), mask(IPS_DST_NAT), differs(NONE)]
const isLoopbackV4 = (part: HeaderField): Rule => [payload({ ...part, length: 1 }), equals(u8(127))]
const destinationIs = (type: Buffer): Rule => [fib('type', ['daddr']), equals(type)]
export const destinationIsLocal = destinationIs(RTN_LOCAL)

/** What a pod asks any name server goes to the resolver that answers it, where it has one. */
function resolving(): ChainRule[] {
  const isQuestion = (protocol: number): Rule => [
    meta('l4proto'),
    equals(u8(protocol)),
    payload(header.th.dport),
    equals(be16(DNS_PORT)),
  ]
  return [
    ...[IPPROTO_TCP, IPPROTO_UDP].map(
      (protocol): ChainRule => ['prerouting', [...isQuestion(protocol), verdict({ jump: 'resolving' })]],
    ),
    ...families.flatMap(answering),
  ]
}

function answering(family: IpFamily): ChainRule[] {
  const { translation, bytes, destination } = layouts[family]
  const { pods, resolvers } = setNames(family)
  const asksItself = (set: string): Rule => [...isFamily(family), meta('iifname'), isIn(set)]
  // The host has addresses among them.
  const toPods: Rule = [payload(destination), isIn(pods), fib('type', ['daddr']), differs(RTN_LOCAL)]
  return [
    ['resolving', [...asksItself(askingSets.host), ...destinationIsLocal, verdict('return')]],
    ['resolving', [...asksItself(askingSets.pods), ...toPods, verdict('return')]],
    ['resolving', [...isFamily(family), meta('iifname'), mapped(resolvers), dnat(translation, 0, bytes / 4)]],
  ]
}

/** What comes for a published port of this host, from elsewhere or from the host itself, goes to the pod. */
function publishing(family: IpFamily): ChainRule[] {
  const { translation, bytes, destination } = layouts[family]
  const names = setNames(family)
  // Registers hold four bytes each.
  const afterAddress = bytes / 4
  const isLocal: Rule = [
    ...isFamily(family),
    // Linux lets nothing for ::1 leave the host: it is refused at once this way.
    ...(family === 6 ? [payload(destination), differs(encodeIp('::1'))] : []),
    ...destinationIsLocal,
  ]
  const protocolAndPort = (at: number): Rule => [meta('l4proto', at), payload(header.th.dport, at + 1)]
  const toPod = dnat(translation, 0, afterAddress)
  const onAddress: Rule = [
    ...isLocal,
    payload(destination),
    ...protocolAndPort(afterAddress),
    mapped(names.addressPorts),
    toPod,
  ]
  const onAny: Rule = [...isLocal, ...protocolAndPort(0), mapped(names.ports), toPod]
  return [onAddress, onAny].flatMap((rule): ChainRule[] => [
    ['prerouting', rule],
    ['output', rule],
  ])
}

function masquerading(family: IpFamily, { direct }: FirewallPlan): ChainRule[] {
  const { source, destination } = layouts[family]
  const { pods, direct: exceptions } = setNames(family)
  const fromPod: Rule = [...isFamily(family), payload(source), isIn(pods)]
  // A pod that reaches a pod, itself perhaps, by a port of the host: the answer must come back through the host.
  const podToPod: Rule = [...fromPod, payload(destination), isIn(pods), ...isTranslated, masquerade]
  const podToOutside: Rule = [
    ...fromPod,
    payload(destination),
    isNotIn(exceptions),
    ...destinationIs(RTN_UNICAST),
    masquerade,
  ]
  return [['postrouting', podToPod], ...(direct ? [['postrouting', podToOutside] as const] : [])]
}

/**
 * The host reaches published ports by 127.0.0.1, for which the kernel must let addresses of the loopback net pass links
 * (route_localnet). So nobody else may: what comes for them by another link than lo is dropped before it is translated.
 */
function loopback(): ChainRule[] {
  const { source, destination } = layouts[4]
  const hostToPod: Rule = [
    ...isFamily(4),
    ...isLoopbackV4(source),
    payload(destination),
    isIn(setNames(4).pods),
    masquerade,
  ]
  const toLoopback: Rule = [
    meta('iifname'),
    differs(linkName('lo')),
    ...isFamily(4),
    ...isLoopbackV4(destination),
    drop,
  ]
  return [
    ['postrouting', hostToPod],
    ['raw', toLoopback],
  ]
}

/**
 * What comes by a pod's own link: under its own addresses alone, which are those that lead back there, and nothing by which
 * hosts and routers tell others where to send to. What comes by a bridge does not pass here.
 */
function fromPods({ linkPrefix, hairpin }: FirewallPlan): ChainRule[] {
  const isUdp = (from: number, to: number): Rule => [
    meta('l4proto'),
    equals(u8(IPPROTO_UDP)),
    payload({ ...header.th.sport, length: 4 }),
    equals(Buffer.concat([be16(from), be16(to)])),
  ]
  const isFromPod: Rule = [meta('iifname'), equals(Buffer.from(linkPrefix))]
  // What goes back by the link that it came from.
  const toItself: Rule = [...isFromPod, fib('oif', ['daddr', 'iif']), differs(NONE), drop]
  return [
    ...(hairpin ? [] : [['forward', toItself] as const]),
    ['raw', [...isFromPod, verdict({ jump: 'from-pods' })]],
    ['from-pods', [fib('oif', ['saddr', 'iif']), equals(NONE), drop]],
    // The kernel takes these for right where they are sent to all.
    ['from-pods', [...isFamily(4), payload({ ...header.ip.saddr, length: 1 }), equals(u8(0)), drop]],
    [
      'from-pods',
      [
        meta('l4proto'),
        equals(u8(IPPROTO_ICMPV6)),
        payload(header.icmp6.type),
        between(u8(ND_ROUTER_SOLICIT), u8(ND_REDIRECT)),
        drop,
      ],
    ],
    ['from-pods', [...isUdp(67, 68), drop]],
    ['from-pods', [...isUdp(547, 546), drop]],
  ]
}

/**
 * What comes by any other link under an address of pods' networks, but does not lead back there: nobody else speaks for a pod, nor
 * begins a connection for one that is yet to come.
 */
function fromElsewhere(family: IpFamily, { linkPrefix }: FirewallPlan): ChainRule {
  return [
    'raw',
    [
      meta('iifname'),
      differs(Buffer.from(linkPrefix)),
      ...isFamily(family),
      payload(layouts[family].source),
      isIn(setNames(family).pods),
      fib('oif', ['saddr', 'iif']),
      equals(NONE),
      drop,
    ],
  ]
}

/**
 * What begins something goes to the rules of the pod that sends it, and then to those of the pod that it is for, where they have any.
 * So does what a pod says about a connection: anybody may say that of anybody's, and nothing tells whether it is its own. What the host
 * sends is looked at only when it begins something: answers, and errors about what was denied, pass. What they let
 * pass is counted, as the kernel keeps track of so many connections and no more, for the host and all pods together.
 */
function policies({ linkPrefix, connections }: FirewallPlan): ChainRule[] {
  const hasState = (states: number): Rule => [ct('state'), mask(u32(states)), differs(NONE)]
  const isKnown: readonly Rule[] = [
    [...hasState(CT_ESTABLISHED), accept],
    [...hasState(CT_RELATED), meta('iifname'), differs(Buffer.from(linkPrefix)), accept],
  ]
  const ofSender: Rule = [meta('iifname'), verdictOf(policyMaps.egress)]
  const ofReceiver: Rule = [meta('oifname'), verdictOf(policyMaps.ingress)]
  const limited = (chain: ChainName): ChainRule[] =>
    families.flatMap((family) =>
      connections > 0 ? [[chain, tooMany(family, linkPrefix, connections)] as const] : [],
    )
  return [
    ...isKnown.map((rule) => ['forward', rule] as const),
    ['forward', ofSender],
    ['forward', ofReceiver],
    ...limited('forward'),
    ...isKnown.map((rule) => ['input', rule] as const),
    ['input', ofSender],
    ...limited('input'),
    // What others began, and was let through above, is looked at again here, with the same answer.
    ['host', [...hasState(CT_NEW), ...ofReceiver]],
  ]
}

/** The kernel goes through all that it counted together for each that is new. */
const MOST_IN_PART = 128

/** What begins a connection of a pod that has its share of them. They are counted in parts, by whom they are with. */
function tooMany(family: IpFamily, linkPrefix: string, connections: number): Rule {
  const parts = Math.max(1, Math.floor(connections / MOST_IN_PART))
  const { bytes } = layouts[family]
  // After the link's name, which has four registers, and the number of the part.
  const [part, peer] = [4, 5]
  const afterPeer = peer + bytes / 4
  return [
    ...isFamily(family),
    meta('iifname'),
    equals(Buffer.from(linkPrefix)),
    ctOriginal(family === 4 ? 'ip daddr' : 'ip6 daddr', peer),
    ctOriginal('sport', afterPeer),
    ctOriginal('dport', afterPeer + 1),
    hashOf(peer, { length: bytes + 8, modulus: parts, into: part }),
    updateSet(CONNECTIONS_SET, {
      op: 'add',
      each: [connectionLimit({ count: Math.floor(connections / parts), over: true })],
    }),
    drop,
  ]
}

/** Of what comes from the bridge itself under a pod's address, the gateway's alone passes to the pods. */
export function duplicateRules({ dropDuplicatesFrom, linkPrefix, networks }: FirewallPlan): Rule[] {
  const mac = Buffer.from((dropDuplicatesFrom ?? '').replaceAll(':', ''), 'hex')
  return networks.flatMap((network): Rule[] => {
    const fromBridge: Rule = [
      meta('oifname'),
      equals(Buffer.from(linkPrefix)),
      payload(header.ether.saddr),
      equals(mac),
      meta('protocol'),
      equals(be16(network.family === 4 ? 0x0800 : 0x86dd)),
      payload(layouts[network.family].source),
    ]
    const prefix = encodeIp(numberToAddress(network.first, network.family))
    const netmask = encodeIp(numberToAddress(netmaskOf(network), network.family))
    return [
      [...fromBridge, equals(encodeIp(network.gateway)), accept],
      [...fromBridge, mask(netmask), equals(prefix), drop],
    ]
  })
}

const netmaskOf = ({ first, last, family }: PodNetwork) =>
  addressToNumber(family === 4 ? '255.255.255.255' : 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff') ^
  (last - first)
