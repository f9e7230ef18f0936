import type { Request } from '../socket/request.ts'
import { present } from '../wire/attributes.ts'
import type { Message } from '../wire/message.ts'
import { tableAttributes } from './attributes.ts'
import {
  get as ask,
  attributesOf,
  type Change,
  change,
  dump,
  familyOf,
  messages,
  type TableFamily,
  type TableRef,
} from './request.ts'
import { decodeNotes, encodeNotes, type Notes } from './user-data.ts'

export type TableFlag = 'dormant' | 'owner' | 'persist'

export interface NewTable extends Notes {
  /** `dormant`: its chains see nothing. `owner`: it ends with the socket that made it, and nobody else may change it. */
  readonly flags?: readonly TableFlag[]
}

/** A table as the kernel describes it. What doesn't apply is absent. */
export interface Table extends TableRef, Notes {
  readonly handle: number
  readonly flags: readonly TableFlag[]
}

/** Makes a table; one that is there stays. */
export const add = (ref: TableRef, table?: NewTable): Change => make('add', ref, table)

/** Makes a table. Errors: `EEXIST`. */
export const create = (ref: TableRef, table?: NewTable): Change => make('create', ref, table)

function make(verb: 'add' | 'create', ref: TableRef, { flags, ...notes }: NewTable = {}): Change {
  return change(verb, words(ref), messages.newTable, ref.family, () =>
    tableAttributes.encode({ name: ref.table, flags, userData: encodeNotes(notes) }),
  )
}

/** Deletes a table with all that is in it. Errors: `ENOENT`. */
export const del = (ref: TableRef): Change =>
  change('delete', words(ref), messages.delTable, ref.family, () =>
    tableAttributes.encode({ name: ref.table }),
  )

/** One table. Errors: `ENOENT`. */
export const get = (ref: TableRef): Request<Table> =>
  ask({
    operation: `get ${words(ref)}`,
    message: messages.getTable,
    family: ref.family,
    attributes: () => tableAttributes.encode({ name: ref.table }),
    parse: ([answer]) => (answer && decode(answer)) ?? { ...ref, handle: 0, flags: [] },
  })

/** The tables, of all families or one. */
export const list = ({ family }: { family?: TableFamily } = {}): Request<Table[]> =>
  dump({
    operation: 'list tables',
    message: messages.getTable,
    family,
    parse: (answers) => answers.flatMap((answer) => decode(answer) ?? []),
  })

function decode(message: Message): Table | undefined {
  const family = familyOf(message)
  if (!family) return undefined
  const { name = '', handle = 0, flags = [], userData } = tableAttributes.decode(attributesOf(message))
  return present({ family, table: name, handle, flags, ...decodeNotes(userData) })
}

const words = ({ family, table }: TableRef) => `table ${family} ${table}`
