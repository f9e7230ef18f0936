import { encodeNetfilter, netfilterRequest } from '../netfilter/nfnetlink.ts'
import type { Request } from '../socket/request.ts'
import type { Attribute } from '../wire/attributes.ts'
import {
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REPLACE,
} from '../wire/constants.ts'
import type { Message } from '../wire/message.ts'

/** Which packets a table sees; `inet` is ip and ip6 together. */
export type TableFamily = 'inet' | 'ip' | 'ip6' | 'arp' | 'netdev' | 'bridge'

const families: Record<TableFamily, number> = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 }
const familyNames = new Map(Object.entries(families).map(([name, value]) => [value, name as TableFamily])) // the keys above

export interface TableRef {
  readonly family: TableFamily
  readonly table: string
}

export interface ChainRef extends TableRef {
  readonly chain: string
}

/** A set, or a map. */
export interface SetRef extends TableRef {
  readonly set: string
}

/** A step of a transaction: the kernel refuses it outside of one. */
export type Change = Request<void>

export const messages = {
  newTable: 0,
  getTable: 1,
  delTable: 2,
  newChain: 3,
  getChain: 4,
  delChain: 5,
  newRule: 6,
  getRule: 7,
  delRule: 8,
  newSet: 9,
  getSet: 10,
  delSet: 11,
  newElement: 12,
  getElement: 13,
  delElement: 14,
  getGeneration: 16,
} as const

/** As nft has it: what is added may be there already, what is created must not be. */
const verbs = {
  add: NLM_F_CREATE,
  create: NLM_F_CREATE | NLM_F_EXCL,
  delete: 0,
  flush: 0,
  append: NLM_F_CREATE | NLM_F_APPEND,
  insert: NLM_F_CREATE,
  replace: NLM_F_REPLACE,
} as const

export type Verb = keyof typeof verbs

/** @param what in words, after the verb: `table inet podwire` */
export const change = (
  verb: Verb,
  what: string,
  message: number,
  family: TableFamily,
  attributes: () => readonly Attribute[],
): Change =>
  netfilterRequest({
    operation: `${verb === 'append' ? 'add' : verb} ${what}`,
    subsystem: 'nftables',
    message,
    flags: NLM_F_ACK | verbs[verb],
    body: () => encodeNetfilter(families[family], attributes()),
    parse: () => {},
  })

interface Query<T> {
  readonly operation: string
  readonly message: number
  /** All families when it is missing. */
  readonly family?: TableFamily | undefined
  attributes?(): readonly Attribute[]
  parse(messages: Message[]): T
}

/** Asks for one thing. */
export const get = <T>(query: Query<T>): Request<T> => ask(query, NLM_F_ACK)

/** Asks for all there are. */
export const dump = <T>(query: Query<T>): Request<T> => ask(query, NLM_F_DUMP)

function ask<T>({ operation, message, family, attributes, parse }: Query<T>, flags: number): Request<T> {
  return netfilterRequest({
    operation,
    subsystem: 'nftables',
    message,
    flags,
    body: () => encodeNetfilter(family ? families[family] : 0, attributes?.()),
    parse,
  })
}

/** The family that a message says. Those without a name here are left aside by lists. */
export const familyOf = ({ body }: Message): TableFamily | undefined => familyNames.get(body[0] ?? 0)

export const attributesOf = ({ body }: Message): Buffer => body.subarray(4)
