import {
  between,
  differs,
  drop,
  type Expression,
  equals,
  fib,
  type HeaderField,
  header,
  isIn,
  limit,
  log,
  mask,
  meta,
  payload,
  updateSet,
  verdict,
} from '@podwire/netlink/nftables'
import { be16, u8 } from '@podwire/netlink/transport'
import { layouts, TOLD_SET } from '../firewall/layout.ts'
import { destinationIsLocal, isFamily, isTranslated, RTN_LOCAL, type Rule } from '../firewall/rules.ts'
import type { IpFamily } from '../ipam/cidr.ts'
import type { CompiledSide, Direction, Group } from './compile.ts'
import { logPrefix } from './log-prefix.ts'
import { ALL_PORTS, ALL_PROTOCOLS, type Traffic } from './traffic.ts'

/** A pod as its rules see it. */
export interface PolicedPod {
  /** The host's end of its link. */
  readonly link: string
  readonly families: readonly IpFamily[]
  /** Where what is denied is told. */
  readonly logGroup: number
  /** Who answers its DNS: where, in each of its families. */
  readonly resolver?: { readonly port: number; readonly addresses: readonly string[] }
}

/** The names of the sets that a side's rules look into. */
export interface GroupSets {
  boxes(family: IpFamily): string
  undenied(family: IpFamily): string | undefined
  group(list: 'allow' | 'deny', index: number, family: IpFamily): string
}

interface Side {
  readonly direction: Direction
  readonly side: CompiledSide
  readonly pod: PolicedPod
  readonly sets: GroupSets
}

const TCP = 6
const tcpFlags: HeaderField = { base: 'transport', offset: 13, length: 1 }
const SYN = 0x02
const FIN_SYN_RST_ACK = 0x17
const DNS_PORT = 53
const ADMINISTRATIVELY_PROHIBITED = 3

const pass = verdict('return')

/** The middle of a connection that isn't known, or no longer: its other end must not bring it to life again. */
export const beginsInTheMiddle: Rule = [
  meta('l4proto'),
  equals(u8(TCP)),
  payload(tcpFlags),
  mask(u8(FIN_SYN_RST_ACK)),
  differs(u8(SYN)),
  drop,
]

/**
 * What becomes of packets that begin something: those that pass return, the others end here. One look-up for all addresses, and one
 * or a few for each group, however many rules, members and pods there are.
 */
export function rulesOf(of: Side): Rule[] {
  const { side, pod, sets } = of
  const denied = [...telling(of), ...ending(of)]
  const groups = (list: 'allow' | 'deny') =>
    side[list].flatMap((group, index) =>
      pod.families.flatMap((family) =>
        matches(of, group, family, sets.group(list, index, family)).map((rule) => ({ rule, family })),
      ),
    )
  return [
    ...groups('deny').flatMap(({ rule }) => denied.map((end) => [...rule, ...end])),
    ...pod.families.map((family) => [...inBoxes(of, family, sets.boxes(family)), pass]),
    ...resolving(of),
    ...groups('allow').map(({ rule, family }) => {
      const undenied = sets.undenied(family)
      return [...rule, ...(undenied ? inBoxes(of, family, undenied) : []), pass]
    }),
    ...denied,
  ]
}

/** Where the other end's address is. */
const peerIn = ({ direction }: Side, family: IpFamily) =>
  direction === 'egress' ? layouts[family].destination : layouts[family].source

function inBoxes(of: Side, family: IpFamily, set: string): Rule {
  const afterAddress = layouts[family].bytes / 4
  return [
    ...isFamily(family),
    payload(peerIn(of, family)),
    meta('l4proto', afterAddress),
    payload(header.th.dport, afterAddress + 1),
    isIn(set),
  ]
}

function matches(of: Side, { kind, traffic }: Group, family: IpFamily, set: string): Expression[][] {
  const who = {
    pods: [payload(peerIn(of, family)), isIn(set)],
    names: [payload(peerIn(of, family)), isIn(set)],
    gateway: [fib('type', [of.direction === 'egress' ? 'daddr' : 'saddr']), equals(RTN_LOCAL)],
    published: isTranslated,
  }[kind]
  return traffic[family].map((one) => [...isFamily(family), ...who, ...isTraffic(one)])
}

function isTraffic({ protocols, ports }: Traffic): Expression[] {
  const isAllPorts = ports[0] === ALL_PORTS[0] && ports[1] === ALL_PORTS[1]
  return [
    ...(protocols[0] === ALL_PROTOCOLS[0] && protocols[1] === ALL_PROTOCOLS[1]
      ? []
      : [meta('l4proto'), between(u8(protocols[0]), u8(protocols[1]))]),
    ...(isAllPorts ? [] : [payload(header.th.dport), between(be16(ports[0]), be16(ports[1]))]),
  ]
}

/** What the pod asks any name server was led to the host's own resolver, which decides by itself. */
function resolving({ direction, side }: Side): Rule[] {
  if (direction !== 'egress' || !side.allow.some(({ kind }) => kind === 'names')) return []
  const wasToDns: Rule = [
    { ct: { register: 0, key: 'dport', direction: 'original' } },
    equals(be16(DNS_PORT)),
  ]
  return [[...isTranslated, ...destinationIsLocal, ...wasToDns, pass]]
}

// So much is told of each pod, and a flood of one keeps nobody from hearing of another's.
const toldPerSecond = 20

function telling({ direction, pod }: Side): Rule[] {
  return [
    [
      meta(direction === 'egress' ? 'iifname' : 'oifname'),
      updateSet(TOLD_SET, {
        timeout: 60_000,
        each: [limit({ rate: toldPerSecond, burst: toldPerSecond })],
      }),
      log({ group: pod.logGroup, prefix: logPrefix(direction, pod.link), length: 128 }),
    ],
  ]
}

/** The pod is told, so that its programs fail at once; whoever comes from elsewhere is not. */
function ending({ direction }: Side): Rule[] {
  if (direction === 'ingress') return [[drop]]
  return [
    [limit({ rate: 50, burst: 50 }), { reject: { type: 'icmpx', code: ADMINISTRATIVELY_PROHIBITED } }],
    [drop],
  ]
}
