import {
  between,
  ct,
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
  type Register,
  updateSet,
  verdict,
} from '@podwire/netlink/nftables'
import { be16, u8, u32 } from '@podwire/netlink/transport'
import { layouts, TOLD_SET } from '../firewall/layout.ts'
import {
  CT_RELATED,
  destinationIsLocal,
  isFamily,
  isTranslated,
  NONE,
  RTN_LOCAL,
  type Rule,
} from '../firewall/rules.ts'
import type { IpFamily } from '../ipam/cidr.ts'
import { answeredOf } from './answered.ts'
import type { CompiledSide, Direction, Group } from './compile.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import { logPrefix } from './log-prefix.ts'
import { ALL_PORTS, ALL_PROTOCOLS, type Traffic } from './traffic.ts'

/** The names of the sets that a side's rules look into. */
export interface GroupSets {
  boxes(family: IpFamily): string
  undenied(family: IpFamily): string | undefined
  group(list: 'allow' | 'deny', index: number, family: IpFamily): string
}

interface Side {
  readonly direction: Direction
  readonly side: CompiledSide
  readonly policy: Pick<KernelPolicy, 'families' | 'logGroup'>
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
export function rulesOf(own: Side): Rule[] {
  const { side, policy, sets } = own
  const denied = [...telling(own), ...ending(own)]
  const groups = (list: 'allow' | 'deny') =>
    side[list].flatMap((group, index) =>
      policy.families.flatMap((family) =>
        matches(own, group, family, sets.group(list, index, family)).map((rule) => ({ rule, family })),
      ),
    )
  return [
    ...groups('deny').flatMap(({ rule }) => denied.map((end) => [...rule, ...end])),
    ...policy.families.map((family) => [...inBoxes(own, family, sets.boxes(family)), pass]),
    ...resolving(own),
    ...groups('allow').map(({ rule, family }) => {
      const undenied = sets.undenied(family)
      return [...rule, ...(undenied ? inBoxes(own, family, undenied) : []), pass]
    }),
    ...sayingToOthers(own),
    ...denied,
  ]
}

/** That nobody listens any more where an answer came, is said by every program's kernel now and then: it is not worth telling. */
const sayingToOthers = ({ direction }: Side): Rule[] =>
  direction === 'egress' ? [[ct('state'), mask(u32(CT_RELATED)), differs(NONE), drop]] : []

/** The pod's link: the pods of one policy are told apart by it. */
const podsLink = ({ direction }: Side, register: Register = 0) =>
  meta(direction === 'egress' ? 'iifname' : 'oifname', register)

// After a link's name.
const AFTER_LINK = 4

/** Where the other end's address is. */
const peerIn = ({ direction }: Side, family: IpFamily) =>
  direction === 'egress' ? layouts[family].destination : layouts[family].source

function inBoxes(own: Side, family: IpFamily, set: string): Rule {
  const afterAddress = layouts[family].bytes / 4
  return [
    ...isFamily(family),
    payload(peerIn(own, family)),
    meta('l4proto', afterAddress),
    payload(header.th.dport, afterAddress + 1),
    isIn(set),
  ]
}

function matches(own: Side, { kind, traffic }: Group, family: IpFamily, set: string): Expression[][] {
  const who = {
    pods: [payload(peerIn(own, family)), isIn(set)],
    // Each pod is let to what it was led to itself.
    names: [podsLink(own), payload(peerIn(own, family), AFTER_LINK), isIn(set)],
    gateway: [fib('type', [own.direction === 'egress' ? 'daddr' : 'saddr']), equals(RTN_LOCAL)],
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
  if (direction !== 'egress' || !answeredOf(side)) return []
  const wasToDns: Rule = [
    { ct: { register: 0, key: 'dport', direction: 'original' } },
    equals(be16(DNS_PORT)),
  ]
  return [[...isTranslated, ...destinationIsLocal, ...wasToDns, pass]]
}

// So much is told of each pod, and a flood of one keeps nobody from hearing of another's.
const toldPerSecond = 20

function telling(own: Side): Rule[] {
  const { direction, policy } = own
  return [
    [
      podsLink(own),
      updateSet(TOLD_SET, {
        timeout: 60_000,
        each: [limit({ rate: toldPerSecond, burst: toldPerSecond })],
      }),
      log({ group: policy.logGroup, prefix: logPrefix(direction), length: 128 }),
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
