import { errors } from '../errors.ts'
import type { Verdict } from './data.ts'
import type { Expression, ExpressionFields, Register, Stateful } from './expressions.ts'

// The expressions that rules are mostly made of, as functions. Values are loaded into registers and looked at there; where
// no register is given it is the first one, 0.

type Field<K extends keyof ExpressionFields, F extends keyof ExpressionFields[K]> = NonNullable<
  ExpressionFields[K][F]
>

/** A part of a header, for `payload`. */
export interface HeaderField {
  readonly base: 'link' | 'network' | 'transport'
  /** In bytes. */
  readonly offset: number
  readonly length: number
}

const field = (base: HeaderField['base'], offset: number, length: number): HeaderField => ({
  base,
  offset,
  length,
})

/** Where the fields of the usual headers are, by nft's names; `th` is what TCP, UDP and SCTP have in common. */
export const header = {
  ether: { daddr: field('link', 0, 6), saddr: field('link', 6, 6), type: field('link', 12, 2) },
  arp: {
    operation: field('network', 6, 2),
    'saddr ether': field('network', 8, 6),
    'saddr ip': field('network', 14, 4),
  },
  ip: {
    protocol: field('network', 9, 1),
    saddr: field('network', 12, 4),
    daddr: field('network', 16, 4),
  },
  ip6: {
    nexthdr: field('network', 6, 1),
    saddr: field('network', 8, 16),
    daddr: field('network', 24, 16),
  },
  icmp6: { type: field('transport', 0, 1) },
  th: { sport: field('transport', 0, 2), dport: field('transport', 2, 2) },
} as const

/** Loads a part of a header. */
export const payload = (part: HeaderField, register: Register = 0): Expression => ({
  payload: { register, ...part },
})

/** Loads what is known of the packet besides its bytes. Link names are 16 bytes: see `linkName`. */
export const meta = (key: Field<'meta', 'key'>, register: Register = 0): Expression => ({
  meta: { register, key },
})

/** Loads what is known of the packet's connection. */
export const ct = (key: Field<'ct', 'key'>, register: Register = 0): Expression => ({ ct: { register, key } })

/** Loads what a connection's first packet said: `ctOriginal('dport', 0)`; a port is 0 where the protocol has none. */
export const ctOriginal = (key: Field<'ct', 'key'>, register: Register): Expression => ({
  ct: { register, key, direction: 'original' },
})

/** Replaces what is in some registers, in bytes, by a number below the modulus: the same for the same. */
export const hashOf = (
  register: Register,
  { length, modulus, into }: { readonly length: number; readonly modulus: number; readonly into: Register },
): Expression => ({ hash: { register, into, length, modulus, type: 'jenkins' } })

/** Loads what the routing tables say of an address: `fib('oif', ['saddr', 'iif'])` is 0 where no route leads back by that link. */
export const fib = (
  result: Field<'fib', 'result'>,
  flags: Field<'fib', 'flags'>,
  register: Register = 0,
): Expression => ({ fib: { register, result, flags } })

/** Loads a value. */
export const load = (value: Uint8Array, register: Register = 0): Expression => ({
  immediate: { register, value },
})

/** The rule goes on where the register holds these bytes, … */
export const equals = (value: Uint8Array, register: Register = 0): Expression =>
  compare('==', value, register)

/** … or doesn't. */
export const differs = (value: Uint8Array, register: Register = 0): Expression =>
  compare('!=', value, register)

/** The rule goes on where the comparison holds. Bytes are compared from the first one on: numbers in network order. */
export const compare = (op: Field<'cmp', 'op'>, value: Uint8Array, register: Register = 0): Expression => ({
  cmp: { register, op, value },
})

/** The rule goes on where the register holds a value from the one to the other, both included. */
export const between = (from: Uint8Array, to: Uint8Array, register: Register = 0): Expression => ({
  range: { register, op: '==', from, to },
})

/** Keeps the bits of the mask alone. */
export const mask = (bits: Uint8Array, register: Register = 0): Expression => ({
  bitwise: { register, into: register, length: bits.length, mask: bits, xor: new Uint8Array(bits.length) },
})

/** The rule goes on where the set holds the key that begins at the register, … */
export const isIn = (set: string, register: Register = 0): Expression => ({ lookup: { set, register } })

/** … or doesn't. */
export const isNotIn = (set: string, register: Register = 0): Expression => ({
  lookup: { set, register, flags: ['inverted'] },
})

/** The rule goes on where the map holds the key; its value goes where the key began, or to another register. */
export const mapped = (map: string, register: Register = 0, into: Register = register): Expression => ({
  lookup: { set: map, register, into },
})

/** What the map of verdicts says of the key becomes of the packet; the rule goes on where it says nothing. */
export const verdictOf = (map: string, register: Register = 0): Expression => mapped(map, register, 'verdict')

/** Adds the key that begins at the register to a dynamic set. The rule ends where that can't be. */
export const updateSet = (
  set: string,
  {
    op = 'update',
    register = 0,
    timeout,
    each = [],
  }: {
    /** `update` renews the timeout of what is there, `add` doesn't. */
    readonly op?: 'add' | 'update' | 'delete'
    readonly register?: Register
    /** In milliseconds. */
    readonly timeout?: number
    /** The rule goes on where the element's own limit or counter lets it. */
    readonly each?: readonly Stateful[]
  } = {},
): Expression => {
  const [only, ...more] = each
  const own = more.length > 0 ? { expressions: each, flags: ['expressions'] as const } : { expression: only }
  return { dynset: { set, op, register, timeout, ...own } }
}

/** Ends the rule with a verdict. */
export const verdict = (value: Verdict): Expression => ({ immediate: { register: 'verdict', value } })

export const accept: Expression = verdict('accept')
export const drop: Expression = verdict('drop')

/** Sends the connection to the address in one register and the port in another. Only in a `nat` chain. */
export const dnat = (family: 'ip' | 'ip6', address: Register, port: Register): Expression => ({
  nat: { type: 'dnat', family, address, addressEnd: address, port, portEnd: port },
})

/** Gives the connection another source address. Only in a `nat` chain. */
export const snat = (family: 'ip' | 'ip6', address: Register): Expression => ({
  nat: { type: 'snat', family, address, addressEnd: address },
})

/** Gives the connection the address of the link it leaves by. Only in a `nat` chain at `postrouting`. */
export const masquerade: Expression = { masq: {} }

/** Leaves the packet out of connection tracking. Only before it: `prerouting` or `output` at priority `raw`. */
export const notrack: Expression = { notrack: {} }

/** Counts packets and bytes. */
export const counter: { readonly counter: { readonly packets: number; readonly bytes: number } } = {
  counter: { packets: 0, bytes: 0 },
}

/** The rule goes on while there are no more than `rate` packets in `per` seconds, or, `over`, when there are more. */
export const limit = ({
  rate,
  per = 1,
  burst = 5,
  unit = 'packets',
  over = false,
}: {
  readonly rate: number
  readonly per?: number
  readonly burst?: number
  readonly unit?: 'packets' | 'bytes'
  readonly over?: boolean
}): Stateful => ({ limit: { rate, per, burst, unit, flags: over ? ['inverted'] : [] } })

/**
 * The rule goes on while no more than `count` connections are open of those whose packets came by here, or, `over`, when there are more;
 * the packet's own is one of them. For packets that begin a connection. TCP connections that are closed are not counted.
 */
export const connectionLimit = ({
  count,
  over = false,
}: {
  readonly count: number
  readonly over?: boolean
}): Stateful => ({ connlimit: { count, flags: over ? ['inverted'] : [] } })

/** Sends the packet to those who listen to an nflog group: see `watchNflog`. */
export const log = ({
  group,
  prefix,
  length,
}: {
  readonly group: number
  /** At most 127 bytes. */
  readonly prefix?: string
  /** How much of the packet, in bytes. */
  readonly length?: number
}): Expression => ({ log: { group, prefix, length } })

const NFT_REJECT_ICMPX_PORT_UNREACH = 1

/** Refuses the packet and says so to its sender: `tcp reset` for TCP alone, else that the port can't be reached. */
export const reject = (type: 'icmpx' | 'tcp reset' = 'icmpx'): Expression => ({
  reject: { type, code: type === 'icmpx' ? NFT_REJECT_ICMPX_PORT_UNREACH : 0 },
})

/** A link's name as `meta` loads it. For all names that begin so, compare with the bare bytes of the beginning. */
export function linkName(name: string): Buffer {
  const bytes = Buffer.from(name)
  if (bytes.length === 0 || bytes.length > 15)
    throw errors.ERR_NETLINK_ARGUMENT({ what: 'link name', value: name, expected: '1 to 15 bytes' })
  return Buffer.concat([bytes], 16)
}
