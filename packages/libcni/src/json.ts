// Narrow readers for what comes from outside. By hand because a CNI plugin is a process per call: a schema library costs
// more to load than the rest of the plugin to run.
import { messageOf } from '@podwire/api'
import { errors } from './errors.ts'

export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json | undefined
}

// Deeper than any configuration, far less than what overflows JSON.stringify's stack.
const maxDepth = 1000

/**
 * @throws CniError `ERR_CNI_JSON` for text that isn't JSON, is nested more than 1000 deep, or holds a number that a double can't
 */
export function parseJson(text: string | Uint8Array, what: string): Json {
  const string = typeof text === 'string' ? text : new TextDecoder().decode(text)
  if (deeperThan(string, maxDepth))
    throw errors.ERR_CNI_JSON({ what, problem: `nested more than ${maxDepth} deep` })
  try {
    return JSON.parse(string, mayOverflow.test(string) ? refuseInfinity : undefined)
  } catch (cause) {
    const problem = string.trim() === '' ? 'empty, expected JSON' : messageOf(cause).replaceAll(/\s+/g, ' ')
    throw errors.ERR_CNI_JSON({ what, problem }, cause)
  }
}

/** @throws CniError `ERR_CNI_JSON` for anything but an object */
export function parseJsonObject(text: string | Uint8Array, what: string): JsonObject {
  const value = parseJson(text, what)
  if (!isObject(value))
    throw errors.ERR_CNI_JSON({ what, problem: `expected an object, not ${kindOf(value)}` })
  return value
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

/**
 * The value of a key, spelt in lower or upper case, as Go reads JSON: the exact spelling first, else the last of the others.
 * Undefined for null, and for what every object inherits.
 */
export function readKey(object: JsonObject, key: string): Exclude<Json, null> | undefined {
  const spelling = Object.hasOwn(object, key) ? key : spellingsOf(object, [key]).at(-1)
  return spelling === undefined ? undefined : (object[spelling] ?? undefined)
}

/** A copy without these keys, in whatever case they are spelt. */
export function withoutKeys(object: JsonObject, keys: readonly string[]): JsonObject {
  const spellings = new Set(spellingsOf(object, keys))
  // By entries, because `__proto__` is a key like any other here.
  return Object.fromEntries(Object.entries(object).filter(([key]) => !spellings.has(key)))
}

/** What a value is, for a message. */
export function kindOf(value: Json | undefined): string {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function spellingsOf(object: JsonObject, keys: readonly string[]): string[] {
  const wanted = keys.map(fold)
  return Object.keys(object).filter((key) => wanted.includes(fold(key)))
}

// As Unicode folds case: the long s is an s, and the sign of the kelvin, by toLowerCase, a k.
const fold = (key: string): string => key.replaceAll('ſ', 's').toLowerCase()

// What JSON.parse reads as infinite it would write as null.
const mayOverflow = /[eE]\+?\d{3}|\d{300}/

function refuseInfinity(key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new RangeError(`the number at ${JSON.stringify(key)} is beyond the range of doubles`)
  return value
}

function deeperThan(text: string, limit: number): boolean {
  let depth = 0
  let inString = false
  for (let index = 0; index < text.length; index++) {
    const character = text.charCodeAt(index)
    if (inString) {
      if (character === 0x5c) index++
      else if (character === 0x22) inString = false
    } else if (character === 0x22) inString = true
    else if (character === 0x5b || character === 0x7b) {
      if (++depth > limit) return true
    } else if (character === 0x5d || character === 0x7d) depth--
  }
  return false
}
