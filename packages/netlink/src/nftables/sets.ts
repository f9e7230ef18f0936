import type { Request } from '../socket/request.ts'
import { present } from '../wire/attributes.ts'
import type { Message } from '../wire/message.ts'
import { setAttributes } from './attributes.ts'
import { codeOf, isHostEndian, lengthOf, lengthsOf, type SetType, typeOf } from './data-types.ts'
import type { Stateful } from './expressions.ts'
import {
  attributesOf,
  type Change,
  change,
  dump,
  familyOf,
  messages,
  type SetRef,
  type TableRef,
} from './request.ts'
import { decodeNotes, encodeSetNotes, type Notes } from './user-data.ts'

export interface NewSet extends Notes {
  readonly key: SetType
  /** Makes it a map; of verdicts, a map that decides. */
  readonly value?: SetType | 'verdict'
  /** Keys may be ranges; of several types, each field by itself. */
  readonly interval?: boolean
  /** In milliseconds: how long elements stay that have no timeout of their own; with 0 those stay for good. */
  readonly timeout?: number
  /** Rules add elements, with `updateSet`. */
  readonly dynamic?: boolean
  /** How many elements it may hold at most. */
  readonly size?: number
  /** What each element keeps for itself: a counter, a limit. */
  readonly each?: readonly Stateful[]
}

/** A set or map as the kernel describes it. What doesn't apply is absent. */
export interface NftSet extends SetRef, Notes {
  readonly handle: number
  /** Absent where a type has no name here. */
  readonly key?: SetType
  readonly value?: SetType | 'verdict'
  readonly interval: boolean
  readonly timeout?: number
  readonly dynamic: boolean
  readonly size?: number
  readonly each?: readonly Stateful[]
}

const NFT_DATA_VERDICT = 0xffffff00

/** Makes a set or a map; one that is there stays. Errors: `ENOENT` without the table, `EEXIST` for one of another layout. */
export const add = (ref: SetRef, set: NewSet): Change => make('add', ref, set)

/** Makes a set or a map. Errors: `EEXIST`, `ENOENT` without the table. */
export const create = (ref: SetRef, set: NewSet): Change => make('create', ref, set)

function make(verb: 'add' | 'create', ref: SetRef, set: NewSet): Change {
  const { key, value, interval = false, timeout, dynamic = false, size, each = [], ...notes } = set
  const isVerdict = value === 'verdict'
  // Ranges of each field by itself are another kind of set than ranges of one number.
  const fields = interval && typeof key !== 'string' && key.length > 1 ? lengthsOf(key) : undefined
  const [only, ...more] = each
  return change(verb, words(ref), messages.newSet, ref.family, () =>
    setAttributes.encode({
      table: ref.table,
      name: ref.set,
      flags: [
        ...(interval ? (['interval'] as const) : []),
        ...(fields ? (['concatenation'] as const) : []),
        ...(value ? (['map'] as const) : []),
        ...(timeout === undefined ? [] : (['timeout'] as const)),
        ...(dynamic ? (['dynamic'] as const) : []),
        ...(more.length > 0 ? (['expressions'] as const) : []),
      ],
      keyType: codeOf(key),
      keyLength: lengthOf(key),
      valueType: value && (isVerdict ? NFT_DATA_VERDICT : codeOf(value)),
      valueLength: value && !isVerdict ? lengthOf(value) : undefined,
      description:
        size === undefined && !fields ? undefined : { size, fields: fields?.map((length) => ({ length })) },
      id: 1,
      timeout: timeout || undefined,
      userData: encodeSetNotes(notes, isHostEndian(key)),
      ...(more.length > 0 ? { expressions: each } : { expression: only }),
    }),
  )
}

/** Deletes a set with its elements. Errors: `ENOENT`, `EBUSY` while rules use it. */
export const del = (ref: SetRef): Change =>
  change('delete', words(ref), messages.delSet, ref.family, () =>
    setAttributes.encode({ table: ref.table, name: ref.set }),
  )

/** The named sets and maps of a table. */
export const list = ({ family, table }: TableRef): Request<NftSet[]> =>
  dump({
    operation: `list sets of ${family} ${table}`,
    message: messages.getSet,
    family,
    attributes: () => setAttributes.encode({ table }),
    parse: (answers) => answers.flatMap((answer) => decode(answer) ?? []),
  })

function decode(message: Message): NftSet | undefined {
  const family = familyOf(message)
  const set = setAttributes.decode(attributesOf(message))
  const { table = '', name = '', handle = 0, flags = [], keyType, valueType, timeout, userData } = set
  if (!family || flags.includes('anonymous')) return undefined
  return present({
    family,
    table,
    set: name,
    handle,
    key: keyType === undefined ? undefined : typeOf(keyType),
    value: valueType === undefined || !flags.includes('map') ? undefined : valueTypeOf(valueType),
    interval: flags.includes('interval'),
    timeout: flags.includes('timeout') ? (timeout ?? 0) : undefined,
    dynamic: flags.includes('dynamic'),
    size: set.description?.size,
    each: set.expressions ?? (set.expression && [set.expression]),
    ...decodeNotes(userData, 7),
  })
}

const valueTypeOf = (code: number): NftSet['value'] => (code === NFT_DATA_VERDICT ? 'verdict' : typeOf(code))

const words = ({ family, table, set }: SetRef) => `set ${family} ${table} ${set}`
