import { isIPv4 } from 'node:net'
import { errors } from '../errors.ts'

export const AF_UNSPEC = 0
export const AF_INET = 2
export const AF_BRIDGE = 7
export const AF_INET6 = 10

export type Family = 'inet' | 'inet6'

export const familyName = (family: number): Family => (family === AF_INET ? 'inet' : 'inet6')
export const familyValue = (family: Family) => (family === 'inet' ? AF_INET : AF_INET6)

/** `AF_INET` or `AF_INET6`, where the text is an address. */
export function familyOf(address: string): number {
  if (isIPv4(address)) return AF_INET
  if (groupsOf(address)) return AF_INET6
  throw errors.ERR_NETLINK_ARGUMENT({
    what: 'IP address',
    value: address,
    expected: 'an IPv4 or IPv6 address without zone or prefix',
  })
}

/** `'10.0.0.1'` or `'fd00::1'` to its 4 or 16 bytes in network order. */
export function encodeIp(address: string): Buffer {
  if (familyOf(address) === AF_INET) return Buffer.from(address.split('.').map(Number))
  const bytes = Buffer.allocUnsafe(16)
  for (const [index, group] of (groupsOf(address) ?? []).entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * index)
  return bytes
}

/** The eight groups of an IPv6 address without a zone. Node's own test is one expression that takes milliseconds to compile. */
function groupsOf(address: string): string[] | undefined {
  // The last 32 bits may be written as IPv4.
  const v4 = address.slice(address.lastIndexOf(':') + 1)
  const plain = isIPv4(v4) ? address.slice(0, -v4.length) + hexOf(encodeIp(v4)) : address
  const [head = '', tail, ...more] = plain.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail ? tail.split(':') : []
  const missing = 8 - front.length - back.length
  if (more.length > 0 || (tail === undefined ? missing !== 0 : missing < 1)) return undefined
  const groups = [...front, ...Array<string>(missing).fill('0'), ...back]
  return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group)) ? groups : undefined
}

const hexOf = (v4: Buffer) => `${v4.readUInt16BE(0).toString(16)}:${v4.readUInt16BE(2).toString(16)}`

/** 4 or 16 bytes to text; IPv6 as RFC 5952 writes it. */
export function decodeIp(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) throw errors.ERR_NETLINK_MALFORMED({ what: `IP address of ${bytes.length} bytes` })
  const isMapped =
    bytes.readUIntBE(0, 6) === 0 && bytes.readUIntBE(6, 4) === 0 && bytes.readUInt16BE(10) === 0xffff
  if (isMapped) return `::ffff:${bytes.subarray(12).join('.')}`
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index))
  const { start, length } = longestZeros(groups)
  const hex = groups.map((group) => group.toString(16))
  if (length < 2) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`
}

function longestZeros(groups: number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let end = start
    while (groups[end] === 0) end++
    if (end - start > best.length) best = { start, length: end - start }
  }
  return best
}

export interface Prefix {
  family: number
  bytes: Buffer
  /** Leading bits that count. */
  length: number
}

/** `'10.0.0.0/8'`; without a slash the whole address counts. */
export function encodePrefix(prefix: string): Prefix {
  const [address = '', bits, ...rest] = prefix.split('/')
  const family = familyOf(address)
  const all = family === AF_INET ? 32 : 128
  const length = bits === undefined ? all : Number(bits)
  if (rest.length > 0 || bits === '' || !Number.isInteger(length) || length < 0 || length > all)
    throw errors.ERR_NETLINK_ARGUMENT({
      what: 'prefix',
      value: prefix,
      expected: `ADDRESS/LENGTH with a length of 0 to ${all}`,
    })
  return { family, bytes: encodeIp(address), length }
}

/** `'0a:58:0a:58:00:02'` to its bytes. */
export function encodeMac(address: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(address))
    throw errors.ERR_NETLINK_ARGUMENT({
      what: 'MAC address',
      value: address,
      expected: 'six bytes in hex with colons, such as 0a:58:0a:58:00:02',
    })
  return Buffer.from(address.replaceAll(':', ''), 'hex')
}

export const decodeMac = (bytes: Buffer) => bytes.toString('hex').replace(/(..)(?=.)/g, '$1:')
