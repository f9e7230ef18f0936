import {
  type Attribute,
  type Attributes,
  be16,
  decodeAttributes,
  encodeAttributes,
  type Message,
  NETLINK_NETFILTER,
  type Request,
  readBe32,
} from '@podwire/netlink/transport'

// linux/netfilter/nfnetlink.h and nf_tables.h. nf_tables counts in network byte order.
const NFNL_SUBSYS_NFTABLES = 10
const NFNL_MSG_BATCH_BEGIN = 0x10
const NFNL_MSG_BATCH_END = 0x11
export const NLM_F_ACK = 4
export const NLM_F_DUMP = 0x300
export const NLM_F_CREATE = 0x400
const NLM_F_APPEND = 0x800

export const message = {
  newTable: 0,
  getTable: 1,
  delTable: 2,
  newChain: 3,
  newRule: 6,
  getRule: 7,
  newSet: 9,
  newElement: 12,
  getElement: 13,
  delElement: 14,
  getGeneration: 16,
} as const

/** Which packets a table sees. */
export const tableFamily = { inet: 1, bridge: 7 } as const
export type TableFamily = keyof typeof tableFamily

/** One step of a transaction. */
export type Step = Request<void>

export function be32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

export const name = (text: string) => Buffer.from(`${text}\0`)

export function request<T>(
  operation: string,
  [kind, flags]: [number, number],
  family: number,
  attributes: readonly Attribute[],
  parse: (messages: Message[]) => T,
): Request<T> {
  return {
    operation,
    protocol: NETLINK_NETFILTER,
    type: (NFNL_SUBSYS_NFTABLES << 8) | kind,
    flags,
    body: () => encodeAttributes(attributes, Buffer.of(family, 0, 0, 0)),
    parse,
  }
}

export const step = (
  operation: string,
  kind: number,
  family: TableFamily,
  attributes: readonly Attribute[],
  flags = 0,
) => request(operation, [kind, NLM_F_ACK | flags], tableFamily[family], attributes, () => {})

/** Adds a table; one that is there stays. */
export const addTable = (family: TableFamily, table: string, userData?: Buffer): Step =>
  step(
    `add table ${family} ${table}`,
    message.newTable,
    family,
    [
      [1, name(table)],
      [6, userData],
    ],
    NLM_F_CREATE,
  )

/** Deletes a table with all that is in it. Errors: `ENOENT`. */
export const deleteTable = (family: TableFamily, table: string): Step =>
  step(`delete table ${family} ${table}`, message.delTable, family, [[1, name(table)]])

export interface Chain {
  readonly table: string
  readonly name: string
  readonly type: 'nat' | 'filter'
  /** NF_INET_PRE_ROUTING 0, LOCAL_IN 1, FORWARD 2, LOCAL_OUT 3, POST_ROUTING 4; the same in a bridge table. */
  readonly hook: number
  readonly priority: number
}

export const addChain = (family: TableFamily, chain: Chain): Step =>
  step(
    `add chain ${family} ${chain.table} ${chain.name}`,
    message.newChain,
    family,
    [
      [1, name(chain.table)],
      [3, name(chain.name)],
      [
        4,
        [
          [1, be32(chain.hook)],
          [2, be32(chain.priority)],
        ],
      ],
      [7, name(chain.type)],
    ],
    NLM_F_CREATE,
  )

/** Appends a rule: expressions, each as `expressions.ts` makes them. */
export const addRule = (
  family: TableFamily,
  table: string,
  chain: string,
  rule: readonly Attribute[],
): Step =>
  step(
    `add rule ${family} ${table} ${chain}`,
    message.newRule,
    family,
    [
      [1, name(table)],
      [2, name(chain)],
      [4, rule],
    ],
    NLM_F_CREATE | NLM_F_APPEND,
  )

export interface SetLayout {
  readonly name: string
  readonly key: FieldType
  /** Makes it a map. */
  readonly value?: FieldType
  readonly isInterval?: boolean
}

/** A type as `nft` prints it, and its length in bytes. */
export interface FieldType {
  readonly code: number
  readonly bytes: number
}

const NFT_SET_INTERVAL = 4
const NFT_SET_MAP = 8

export function addSet(family: TableFamily, table: string, layout: SetLayout, id: number): Step {
  const { key, value, isInterval } = layout
  const flags = (isInterval ? NFT_SET_INTERVAL : 0) | (value ? NFT_SET_MAP : 0)
  return step(
    `add set ${family} ${table} ${layout.name}`,
    message.newSet,
    family,
    [
      [1, name(table)],
      [2, name(layout.name)],
      [3, be32(flags)],
      [4, be32(key.code)],
      [5, be32(key.bytes)],
      [6, value && be32(value.code)],
      [7, value && be32(value.bytes)],
      [10, be32(id)],
    ],
    NLM_F_CREATE,
  )
}

/** The ruleset's generation: every transaction of anyone makes it one more. */
export const generation = (): Request<number> =>
  request('get ruleset generation', [message.getGeneration, NLM_F_ACK], 0, [], ([answer]) =>
    answer ? readBe32(attributesOf(answer).get(1) ?? be32(0)) : 0,
  )

/** A table's user data. Errors: `ENOENT`. */
export const tableUserData = (family: TableFamily, table: string): Request<Buffer | undefined> =>
  request(
    `get table ${family} ${table}`,
    [message.getTable, NLM_F_ACK],
    tableFamily[family],
    [[1, name(table)]],
    ([answer]) => answer && attributesOf(answer).get(6),
  )

/** How many rules a table holds. */
export const countRules = (family: TableFamily, table: string): Request<number> =>
  request(
    `list rules of ${family} ${table}`,
    [message.getRule, NLM_F_DUMP],
    tableFamily[family],
    [[1, name(table)]],
    (messages) => messages.length,
  )

export const attributesOf = ({ body }: Message): Attributes => decodeAttributes(body, 4)

/** What is sent must arrive in one piece: the kernel takes all steps of a transaction, or none. */
export const transaction = (steps: readonly Step[]): Step[] => [
  bracket('begin transaction', NFNL_MSG_BATCH_BEGIN),
  ...steps,
  bracket('end transaction', NFNL_MSG_BATCH_END),
]

const bracket = (operation: string, type: number): Step => ({
  operation,
  protocol: NETLINK_NETFILTER,
  type,
  flags: 0,
  body: () => Buffer.concat([Buffer.of(0, 0), be16(NFNL_SUBSYS_NFTABLES)]),
  parse: () => {},
})
