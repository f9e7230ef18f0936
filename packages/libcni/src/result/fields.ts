import { isIP } from 'node:net'
import { describeValue } from '@podwire/api'
import { badResult } from '../errors.ts'
import { isArray, isObject, type JsonObject, kindOf, readKey } from '../json.ts'

export function text(object: JsonObject, key: string): string | undefined {
  const value = readKey(object, key)
  if (value === undefined || typeof value === 'string') return value
  throw badResult(`${key} is ${kindOf(value)}, expected a string`)
}

export function number(object: JsonObject, key: string): number | undefined {
  const value = readKey(object, key)
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw badResult(`${key} is ${describeValue(value)}, expected a whole number`)
}

export function strings(object: JsonObject, key: string): string[] {
  return items(object, key).map((item) => {
    if (typeof item === 'string') return item
    throw badResult(`${key} holds ${kindOf(item)}, expected strings`)
  })
}

export function objects(object: JsonObject, key: string): JsonObject[] {
  return items(object, key).map((item) => {
    if (isObject(item)) return item
    throw badResult(`${key} holds ${kindOf(item)}, expected objects`)
  })
}

/** The key where the list holds something: empty lists are left out, as Go leaves them out. */
export function list<Key extends string, Item>(
  key: Key,
  value: readonly Item[],
): { [K in Key]?: readonly Item[] } {
  return value.length === 0 ? {} : ({ [key]: value } as { [K in Key]?: readonly Item[] }) // a computed key widens to string
}

export const addresses = {
  /** `10.1.0.5/16`; the text stays as it is. */
  cidr(object: JsonObject, key: string): string {
    const value = text(object, key)
    if (value !== undefined && isCidr(value)) return value
    throw badResult(
      `${key} is ${value === undefined ? 'missing' : describeValue(value)}, expected an address with its prefix length`,
    )
  },

  address(object: JsonObject, key: string): string | undefined {
    const value = text(object, key)
    if (value === undefined || value === '') return undefined
    if (isAddress(value)) return value
    throw badResult(`${key} is ${describeValue(value)}, expected an IP address`)
  },

  /** The family of a CIDR; an IPv4 address that IPv6 maps (`::ffff:a00:1`) counts as IPv4, as in Go. */
  family(cidr: string): '4' | '6' {
    const [address = ''] = cidr.split('/')
    return isIP(address) === 6 && !isMapped(address) ? '6' : '4'
  },
}

function items(object: JsonObject, key: string) {
  const value = readKey(object, key)
  if (value === undefined) return []
  if (isArray(value)) return value
  throw badResult(`${key} is ${kindOf(value)}, expected an array`)
}

function isCidr(value: string): boolean {
  const [address = '', length = '', ...rest] = value.split('/')
  if (rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(length) || !isAddress(address)) return false
  return Number(length) <= (isIP(address) === 4 ? 32 : 128)
}

// A URL's host is spelt in one way only, however the address was.
const isMapped = (ipv6: string): boolean =>
  /^\[::ffff:[0-9a-f]+:[0-9a-f]+\]$/.test(new URL(`http://[${ipv6}]`).hostname)

const isAddress = (value: string): boolean => isIP(value) !== 0 && !value.includes('%')
