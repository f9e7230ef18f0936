import { errors } from '../errors.ts'
import type { Request } from '../socket/request.ts'
import { findAttribute, listAttributes, present } from '../wire/attributes.ts'
import type { Message } from '../wire/message.ts'
import { type elementAttributes, elementListAttributes } from './attributes.ts'
import type { Data } from './data.ts'
import type { Stateful } from './expressions.ts'
import { get as ask, attributesOf, type Change, change, dump, messages, type SetRef } from './request.ts'
import { decodeNotes, encodeNotes, type Notes } from './user-data.ts'

/** An element of a set, or of a map when it has a value. */
export interface Element extends Notes {
  /** Its bytes in network order; several fields as `concatenate` has them. */
  readonly key: Uint8Array
  /** Of a range of several fields: the last of each. */
  readonly keyEnd?: Uint8Array | undefined
  readonly value?: Data | undefined
  /** In an interval set of one field: here a range ends, this key is the first after it. See `range`. */
  readonly intervalEnd?: boolean | undefined
  /** In milliseconds, in a set with timeouts. */
  readonly timeout?: number | undefined
  /** In milliseconds: what is left of the timeout. */
  readonly expiration?: number | undefined
  /** Counters and limits of its own. */
  readonly each?: readonly Stateful[] | undefined
}

/**
 * Adds elements; those that are there already stay, and a map's must have the same value: `EEXIST` (`EBUSY` of older
 * kernels). As many steps as it takes, for one transaction. Errors: `ENOENT` without the set.
 */
export const add = (ref: SetRef, elements: readonly Element[]): Change[] =>
  changes('add', messages.newElement, ref, elements)

/** Adds elements. Errors: `EEXIST` when one is there already. */
export const create = (ref: SetRef, elements: readonly Element[]): Change[] =>
  changes('create', messages.newElement, ref, elements)

/** Deletes elements, by their keys alone. Errors: `ENOENT` when one is not there. */
export const del = (ref: SetRef, elements: readonly Element[]): Change[] =>
  changes('delete', messages.delElement, ref, elements)

/** Deletes all elements of a set. Errors: `ENOENT` without the set. */
export const flush = (ref: SetRef): Change =>
  change('flush', words(ref), messages.delElement, ref.family, () => encode(ref))

// A list travels in one attribute, whose length has 16 bits; of an element at most a few hundred bytes are not its own.
const MAX_ELEMENTS = 100

function changes(
  verb: 'add' | 'create' | 'delete',
  message: number,
  ref: SetRef,
  elements: readonly Element[],
): Change[] {
  const steps: Change[] = []
  for (let start = 0; start < elements.length; start += MAX_ELEMENTS) {
    const part = elements.slice(start, start + MAX_ELEMENTS)
    steps.push(change(verb, `elements of ${words(ref)}`, message, ref.family, () => encode(ref, part)))
  }
  return steps
}

const encode = ({ table, set }: SetRef, elements?: readonly Element[]) =>
  elementListAttributes.encode({ table, set, elements: elements?.map(encodeElement) })

function encodeElement(element: Element): ReturnType<typeof elementAttributes.decode> {
  const { key, keyEnd, value, intervalEnd, timeout, expiration, each = [], ...notes } = element
  const [only, ...more] = each
  return {
    key,
    keyEnd,
    value,
    flags: intervalEnd ? ['intervalEnd'] : undefined,
    timeout,
    expiration,
    userData: encodeNotes(notes),
    ...(more.length > 0 ? { expressions: each } : { expression: only }),
  }
}

/** The elements of a set. Errors: `ENOENT`. */
export const list = (ref: SetRef): Request<Element[]> =>
  dump({
    operation: `list elements of ${words(ref)}`,
    message: messages.getElement,
    family: ref.family,
    attributes: () => encode(ref),
    parse: (answers) => answers.flatMap(decode),
  })

/** The keys of a set's elements alone, which of many thousands takes a fraction of the time. Errors: `ENOENT`. */
export const keys = (ref: SetRef): Request<Buffer[]> =>
  dump({
    operation: `list keys of ${words(ref)}`,
    message: messages.getElement,
    family: ref.family,
    attributes: () => encode(ref),
    parse: (answers) => answers.flatMap(keysIn),
  })

function keysIn(message: Message): Buffer[] {
  const all = findAttribute(attributesOf(message), 0, ELEMENTS)
  if (!all) return []
  return listAttributes(all).flatMap(([, element]) => {
    const key = findAttribute(element, 0, KEY)
    return (key && findAttribute(key, 0, VALUE)) ?? []
  })
}

// As the attributes of elements have them.
const [ELEMENTS, KEY, VALUE] = [3, 1, 1]

/** The element of this key. Errors: `ENOENT`. */
export const get = (ref: SetRef, key: Uint8Array): Request<Element> =>
  ask({
    operation: `get element of ${words(ref)}`,
    message: messages.getElement,
    family: ref.family,
    attributes: () => encode(ref, [{ key }]),
    parse(answers) {
      const [element] = answers.flatMap(decode)
      if (!element) throw errors.ERR_NETLINK_MALFORMED({ what: 'an answer without an element' })
      return element
    },
  })

function decode(message: Message): Element[] {
  const { elements = [] } = elementListAttributes.decode(attributesOf(message))
  return elements.map(({ key, keyEnd, value, flags, timeout, expiration, userData, ...own }) =>
    present({
      key: bytesOf(key) ?? Buffer.alloc(0),
      keyEnd: bytesOf(keyEnd),
      value,
      intervalEnd: flags?.includes('intervalEnd'),
      timeout,
      expiration,
      each: own.expressions ?? (own.expression && [own.expression]),
      ...decodeNotes(userData),
    }),
  )
}

const bytesOf = (data: Data | undefined) => (data instanceof Uint8Array ? data : undefined)

/** The elements that a range of keys consists of in an interval set of one field: both ends belong to it. */
export function range(first: Uint8Array, last: Uint8Array, element: Omit<Element, 'key'> = {}): Element[] {
  const after = successor(last)
  if (first.length !== last.length || Buffer.compare(first, last) > 0)
    throw errors.ERR_NETLINK_ARGUMENT({
      what: 'range',
      value: [first, last].map((bytes) => Buffer.from(bytes).toString('hex')).join('-'),
      expected: 'a first key of the same length as the last one, and not above it',
    })
  return [{ ...element, key: first }, ...(after ? [{ key: after, intervalEnd: true }] : [])]
}

/** The key after this one; undefined after the last there is. */
function successor(key: Uint8Array): Uint8Array | undefined {
  const next = Uint8Array.from(key)
  for (let at = next.length - 1; at >= 0; at--) {
    next[at] = (next[at]! + 1) & 0xff
    if (next[at] !== 0) return next
  }
  return undefined
}

const words = ({ family, table, set }: SetRef) => `set ${family} ${table} ${set}`
