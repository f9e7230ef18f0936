import { errors } from '../errors.ts'

/** What a set's keys or a map's values are, by nft's names. `verdict` is for values alone. */
export type DataType = keyof typeof types

// nft's number of each type, by which it prints what a set holds, and the bytes that one takes.
const types = {
  ipv4_addr: [7, 4],
  ipv6_addr: [8, 16],
  ether_addr: [9, 6],
  ether_type: [10, 2],
  inet_proto: [12, 1],
  inet_service: [13, 2],
  mark: [19, 4],
  iface_index: [20, 4],
  iface_type: [21, 2],
  ct_state: [26, 4],
  ct_status: [28, 4],
  fib_addrtype: [38, 4],
  ifname: [41, 16],
} as const

const hostEndian: ReadonlySet<DataType> = new Set([
  'mark',
  'iface_index',
  'iface_type',
  'ct_state',
  'ct_status',
  'fib_addrtype',
  'ifname',
])

/** Whether keys of this type are in the machine's byte order; several fields are as each is. */
export const isHostEndian = (type: SetType): boolean => typeof type === 'string' && hostEndian.has(type)

/** One type, or several, one after the other in whole registers of four bytes, as nft writes `ipv4_addr . inet_service`. */
export type SetType = DataType | readonly DataType[]

// The code of a type has six bits, and that of several 32.
const MAX_FIELDS = 5

function fieldsOf(type: SetType): readonly DataType[] {
  const fields: readonly DataType[] = typeof type === 'string' ? [type] : type
  if (
    fields.length === 0 ||
    fields.length > MAX_FIELDS ||
    !fields.every((field) => Object.hasOwn(types, field))
  )
    throw errors.ERR_NETLINK_ARGUMENT({
      what: 'type of a set',
      value: type,
      expected: `one to ${MAX_FIELDS} of ${Object.keys(types).join(', ')}`,
    })
  return fields
}

const padded = (length: number) => Math.ceil(length / 4) * 4

/** Bytes that each of the fields takes; padding counts where there are several. */
export function lengthsOf(type: SetType): number[] {
  const lengths = fieldsOf(type).map((field) => types[field][1])
  return lengths.length === 1 ? lengths : lengths.map(padded)
}

export const lengthOf = (type: SetType): number => lengthsOf(type).reduce((sum, length) => sum + length, 0)

const BITS = 6

export const codeOf = (type: SetType): number =>
  fieldsOf(type).reduce((code, field) => ((code << BITS) | types[field][0]) >>> 0, 0)

const names = new Map(Object.entries(types).map(([name, [code]]) => [code as number, name as DataType])) // the keys above

/** Undefined where one of the types has no name here. */
export function typeOf(code: number): SetType | undefined {
  const fields: DataType[] = []
  for (let rest = code; rest > 0; rest >>>= BITS) {
    const name = names.get(rest & ((1 << BITS) - 1))
    if (!name) return undefined
    fields.unshift(name)
  }
  return fields.length === 1 ? fields[0] : fields
}

/** Several fields as one key: each in whole registers. */
export function concatenate(...fields: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.alloc(fields.reduce((sum, { length }) => sum + padded(length), 0))
  let offset = 0
  for (const field of fields) {
    bytes.set(field, offset)
    offset += padded(field.length)
  }
  return bytes
}
