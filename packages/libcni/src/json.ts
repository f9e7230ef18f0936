// Narrow readers for what comes from outside. By hand because a CNI plugin is a process per call: a schema library costs
// more to load than the rest of the plugin to run.
import { badJson } from './errors.ts'

export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json | undefined
}

// Deeper than any configuration, far less than what overflows JSON.stringify's stack.
const maxDepth = 1000

/** @throws CniError `ERR_CNI_JSON` for text that isn't JSON, or is nested more than 1000 deep */
export function parseJson(text: string | Uint8Array, what: string): Json {
  const string = typeof text === 'string' ? text : new TextDecoder().decode(text)
  if (deeperThan(string, maxDepth)) throw badJson(what, `nested more than ${maxDepth} deep`)
  try {
    return JSON.parse(string)
  } catch (cause) {
    const { message } = cause as SyntaxError // JSON.parse throws nothing else
    const problem = string.trim() === '' ? 'empty, expected JSON' : message.replaceAll(/\s+/g, ' ')
    throw badJson(what, problem, cause)
  }
}

/** @throws CniError `ERR_CNI_JSON` for anything but an object */
export function parseJsonObject(text: string | Uint8Array, what: string): JsonObject {
  const value = parseJson(text, what)
  if (!isObject(value)) throw badJson(what, `expected an object, not ${kindOf(value)}`)
  return value
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

/** The object's own value; undefined for null, as Go reads it, and for what every object inherits. */
export function own(object: JsonObject, key: string): Exclude<Json, null> | undefined {
  return Object.hasOwn(object, key) ? (object[key] ?? undefined) : undefined
}

/** What a value is, for a message. */
export function kindOf(value: Json | undefined): string {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
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
