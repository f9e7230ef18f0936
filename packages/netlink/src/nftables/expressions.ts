import { errors } from '../errors.ts'
import {
  attributes,
  be16,
  be32,
  be64,
  bytes,
  type Field,
  flags,
  listOf,
  oneOf,
  text,
  u8,
  type Values,
} from '../wire/fields.ts'
import { data } from './data.ts'

/**
 * One of the sixteen registers of four bytes, 0 to 15, or `verdict`, which decides what becomes of the packet. What is
 * longer than four bytes goes on in the registers after it.
 */
export type Register = number | 'verdict'

const register: Field<Register> = {
  encode(value, what) {
    if (value === 'verdict') return be32.encode(0, what)
    if (!Number.isInteger(value) || value < 0 || value > 15)
      throw errors.ERR_NETLINK_ARGUMENT({ what, value, expected: "a register, 0 to 15 or 'verdict'" })
    return be32.encode(value + 8, what)
  },
  decode(bytes) {
    const number = be32.decode(bytes)
    if (number === 0) return 'verdict'
    // The kernel tells of every fourth one by an older number, 1 to 4.
    return number < 8 ? (number - 1) * 4 : number - 8
  },
}

const inverted = flags({ inverted: 1 })
const natFlags = flags({ random: 4, fullyRandom: 16, persistent: 8 })
const equality = oneOf({ '==': 0, '!=': 1 })

const counter = attributes({ bytes: [1, be64], packets: [2, be64] })
const limit = attributes({
  rate: [1, be64],
  /** In seconds. */
  per: [2, be64],
  burst: [3, be32],
  unit: [4, oneOf({ packets: 0, bytes: 1 })],
  flags: [5, inverted],
})

const connlimit = attributes({ count: [1, be32], flags: [2, inverted] })

/** What keeps count for itself: in a rule, or in each element of a set. */
export type Stateful =
  | { readonly counter: Values<typeof counter> }
  | { readonly limit: Values<typeof limit> }
  | { readonly connlimit: Values<typeof connlimit> }

// Some expressions hold such, which are expressions themselves.
export const stateful: Field<Stateful> = {
  encode: (value, what) => expression.encode(value, what),
  decode: (bytes) => expression.decode(bytes) as Stateful, // the kernel lets no others in there
}

// By the kernel's name of the expression, and the names of its attributes: linux/netfilter/nf_tables.h.
const layouts = {
  payload: attributes({
    register: [1, register],
    base: [2, oneOf({ link: 0, network: 1, transport: 2, inner: 3 })],
    /** In bytes. */
    offset: [3, be32],
    length: [4, be32],
  }),
  meta: attributes({
    register: [1, register],
    key: [
      2,
      oneOf({
        length: 0,
        protocol: 1,
        priority: 2,
        mark: 3,
        iif: 4,
        oif: 5,
        iifname: 6,
        oifname: 7,
        iiftype: 8,
        oiftype: 9,
        skuid: 10,
        skgid: 11,
        nftrace: 12,
        nfproto: 15,
        l4proto: 16,
        ibrname: 17,
        obrname: 18,
        pkttype: 19,
        iifgroup: 21,
        oifgroup: 22,
      }),
    ],
    /** Sets the key to what the register holds. */
    source: [3, register],
  }),
  ct: attributes({
    register: [1, register],
    key: [
      2,
      oneOf({
        state: 0,
        direction: 1,
        status: 2,
        mark: 3,
        expiration: 5,
        l3proto: 7,
        protocol: 10,
        sport: 11,
        dport: 12,
        packets: 14,
        bytes: 15,
        zone: 17,
        'ip saddr': 19,
        'ip daddr': 20,
        'ip6 saddr': 21,
        'ip6 daddr': 22,
        id: 23,
      }),
    ],
    direction: [3, oneOf({ original: 0, reply: 1 }, u8)],
    /** Sets the key to what the register holds. */
    source: [4, register],
  }),
  fib: attributes({
    register: [1, register],
    result: [2, oneOf({ oif: 1, oifname: 2, type: 3 })],
    flags: [3, flags({ saddr: 1, daddr: 2, mark: 4, iif: 8, oif: 16, present: 32 })],
  }),
  cmp: attributes({
    register: [1, register],
    op: [2, oneOf({ '==': 0, '!=': 1, '<': 2, '<=': 3, '>': 4, '>=': 5 })],
    value: [3, data],
  }),
  range: attributes({ register: [1, register], op: [2, equality], from: [3, data], to: [4, data] }),
  bitwise: attributes({
    register: [1, register],
    into: [2, register],
    length: [3, be32],
    mask: [4, data],
    xor: [5, data],
  }),
  lookup: attributes({
    set: [1, text],
    register: [2, register],
    /** Of a map: where the value goes. */
    into: [3, register],
    setId: [4, be32],
    flags: [5, inverted],
  }),
  dynset: attributes({
    set: [1, text],
    setId: [2, be32],
    op: [3, oneOf({ add: 0, update: 1, delete: 2 })],
    register: [4, register],
    valueRegister: [5, register],
    /** In milliseconds. */
    timeout: [6, be64],
    expression: [7, stateful],
    flags: [9, flags({ inverted: 1, expressions: 2 })],
    expressions: [10, listOf(stateful)],
  }),
  immediate: attributes({ register: [1, register], value: [2, data] }),
  nat: attributes({
    type: [1, oneOf({ snat: 0, dnat: 1 })],
    family: [2, oneOf({ ip: 2, ip6: 10 })],
    address: [3, register],
    addressEnd: [4, register],
    port: [5, register],
    portEnd: [6, register],
    flags: [7, natFlags],
  }),
  masq: attributes({ flags: [1, natFlags], port: [2, register], portEnd: [3, register] }),
  redir: attributes({ port: [1, register], portEnd: [2, register], flags: [3, natFlags] }),
  /** Of what some registers hold, in bytes: a number below the modulus. */
  hash: attributes({
    register: [1, register],
    into: [2, register],
    length: [3, be32],
    modulus: [4, be32],
    seed: [5, be32],
    offset: [6, be32],
    type: [7, oneOf({ jenkins: 0, symmetric: 1 })],
  }),
  counter,
  limit,
  connlimit,
  log: attributes({
    group: [1, be16],
    prefix: [2, text],
    /** How much of the packet is passed on, in bytes. */
    length: [3, be32],
    queueThreshold: [4, be16],
    level: [5, be32],
    flags: [6, be32],
  }),
  reject: attributes({
    type: [1, oneOf({ icmp: 0, 'tcp reset': 1, icmpx: 2 })],
    code: [2, u8],
  }),
  notrack: attributes({}),
}

type Layouts = typeof layouts

/** The attributes of each expression. */
export type ExpressionFields = { [K in keyof Layouts]: Values<Layouts[K]> }

/** One expression of a rule, by the kernel's name: `{ meta: { key: 'iifname', register: 0 } }`. */
export type Expression =
  | { [K in keyof Layouts]: { readonly [P in K]: ExpressionFields[K] } }[keyof Layouts]
  /** One that this package has no names for; it can be read, and written back as it is. */
  | { readonly other: { readonly name: string; readonly data: Uint8Array } }

const frame = attributes({ name: [1, text], data: [2, bytes] })

export const expression: Field<Expression> = {
  encode(value, what) {
    if ('other' in value) return frame.encode(value.other)
    const [[name, values] = ['', {}]] = Object.entries(value)
    if (!Object.hasOwn(layouts, name))
      throw errors.ERR_NETLINK_ARGUMENT({
        what: 'expression',
        value: name,
        expected: Object.keys(layouts).join(', '),
      })
    // The name says which layout the values are of.
    const layout = layouts[name as keyof Layouts] as Field<unknown>
    return [
      [1, text.encode(name, what)],
      [2, layout.encode(values, what)],
    ]
  },
  decode(encoded) {
    const { name = '', data: values = Buffer.alloc(0) } = frame.decode(encoded)
    if (!Object.hasOwn(layouts, name)) return { other: { name, data: values } }
    const layout = layouts[name as keyof Layouts] as Field<unknown>
    return { [name]: layout.decode(Buffer.from(values)) } as Expression // the layout of that name made it
  },
}
