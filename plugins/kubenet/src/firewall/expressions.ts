import type { Attribute } from '@podwire/netlink/transport'
import { be32 } from './nf-tables.ts'

// The expressions that the rules need, each as an element of a rule's list. A register is one of sixteen of four bytes,
// numbered from 8; a longer value goes on into those after it. linux/netfilter/nf_tables.h.

/** The first register; addresses and what is looked up begin here. */
export const R0 = 8

const expression = (name: string, attributes: readonly Attribute[]): Attribute => [
  1,
  [
    [1, Buffer.from(`${name}\0`)],
    [2, attributes],
  ],
]

const value = (bytes: Buffer): Attribute[] => [[1, bytes]]

const NFT_CMP_EQ = 0
const NFT_CMP_NEQ = 1

/** The rule goes on where the register holds these bytes. */
export const isEqual = (register: number, bytes: Buffer, { not = false } = {}) =>
  expression('cmp', [
    [1, be32(register)],
    [2, be32(not ? NFT_CMP_NEQ : NFT_CMP_EQ)],
    [3, value(bytes)],
  ])

type MetaKey = 'iifname' | 'oifname' | 'nfproto' | 'l4proto' | 'protocol'
const metaKeys: Record<MetaKey, number> = { protocol: 1, iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 }

export const loadMeta = (key: MetaKey, register: number) =>
  expression('meta', [
    [1, be32(register)],
    [2, be32(metaKeys[key])],
  ])

const bases = { link: 0, network: 1, transport: 2 } as const

/** Loads bytes of a header. */
export const loadPayload = (base: keyof typeof bases, offset: number, length: number, register: number) =>
  expression('payload', [
    [1, be32(register)],
    [2, be32(bases[base])],
    [3, be32(offset)],
    [4, be32(length)],
  ])

const NFTA_FIB_F_DADDR = 2
const NFT_FIB_RESULT_ADDRTYPE = 3

/** Loads what kind of address the destination is: RTN_UNICAST 1, RTN_LOCAL 2. */
export const loadDestinationType = (register: number) =>
  expression('fib', [
    [1, be32(register)],
    [2, be32(NFT_FIB_RESULT_ADDRTYPE)],
    [3, be32(NFTA_FIB_F_DADDR)],
  ])

const NFT_CT_STATUS = 2

/** Loads the connection's status bits. */
export const loadConnectionStatus = (register: number) =>
  expression('ct', [
    [1, be32(register)],
    [2, be32(NFT_CT_STATUS)],
  ])

/** register = register & mask */
export const mask = (register: number, bytes: Buffer) =>
  expression('bitwise', [
    [1, be32(register)],
    [2, be32(register)],
    [3, be32(bytes.length)],
    [4, value(bytes)],
    [5, value(Buffer.alloc(bytes.length))],
  ])

/** The rule goes on where the set holds what begins at the register, or holds it not. */
export const isIn = (set: string, register: number, { not = false } = {}) =>
  expression('lookup', [
    [1, Buffer.from(`${set}\0`)],
    [2, be32(register)],
    [5, not ? be32(1) : undefined],
  ])

/** The same of a map, whose value takes the place of what was looked up. */
export const findIn = (map: string, register: number) =>
  expression('lookup', [
    [1, Buffer.from(`${map}\0`)],
    [2, be32(register)],
    [3, be32(register)],
  ])

const NFT_NAT_DNAT = 1

/** Sends the connection to the address in one register and the port in another. */
export const dnat = (family: number, address: number, port: number) =>
  expression('nat', [
    [1, be32(NFT_NAT_DNAT)],
    [2, be32(family)],
    [3, be32(address)],
    [4, be32(address)],
    [5, be32(port)],
    [6, be32(port)],
  ])

/** Gives the connection the address of the link it leaves by. */
export const masquerade = () => expression('masq', [])

const NF_DROP = 0
const NF_ACCEPT = 1
const NFT_REG_VERDICT = 0

const verdict = (code: number) =>
  expression('immediate', [
    [1, be32(NFT_REG_VERDICT)],
    [2, [[2, [[1, be32(code)]]]]],
  ])

export const drop = () => verdict(NF_DROP)
export const accept = () => verdict(NF_ACCEPT)
