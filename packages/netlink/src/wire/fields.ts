import { errors } from '../errors.ts'
import { type Attribute, listAttributes } from './attributes.ts'
import * as b from './bytes.ts'

/** How a value travels inside an attribute. */
export interface Field<T> {
  /** @param what the attribute's name, for errors. Errors: `ERR_NETLINK_ARGUMENT` for a value that can't be right. */
  encode(value: T, what: string): Attribute[1]
  /** Errors: `ERR_NETLINK_MALFORMED`. */
  decode(bytes: Buffer): T
}

/** The attributes of a message, or of another attribute, by name. */
type Layout = Readonly<Record<string, readonly [type: number, field: Field<unknown>]>>

/** Values by the names of a layout, each there or not. */
export type Values<F> = F extends NamedAttributes<infer L> ? ValuesOf<L> : never

/** Reads and writes attributes by name; being a field itself, it nests. What it has no name for is left out. */
export interface NamedAttributes<L extends Layout> {
  encode(values: ValuesOf<L>): Attribute[]
  decode(bytes: Buffer): ValuesOf<L>
}

type ValuesOf<L extends Layout> = {
  [K in keyof L]?: L[K] extends readonly [number, Field<infer T>] ? T | undefined : never
}

export function attributes<const L extends Layout>(layout: L): NamedAttributes<L> {
  const byType = new Map(Object.entries(layout).map(([name, [type, field]]) => [type, { name, field }]))
  return {
    encode(values) {
      const list: Attribute[] = []
      for (const name in values) {
        const value = values[name]
        const [type, field] = layout[name]!
        if (value !== undefined) list.push([type, field.encode(value, name)])
      }
      return list
    },
    decode(bytes) {
      const values: Record<string, unknown> = {}
      for (const [type, value] of listAttributes(bytes)) {
        const known = byType.get(type)
        if (known) values[known.name] = known.field.decode(value)
      }
      return values as ValuesOf<L> // each was made by the field of its name
    },
  }
}

/** A list of values, each in an attribute of the same type. */
export const listOf = <T>(field: Field<T>, type = 1): Field<readonly T[]> => ({
  encode: (values, what) => values.map((value) => [type, field.encode(value, what)]),
  decode: (bytes) => listAttributes(bytes).map(([, value]) => field.decode(value)),
})

export interface NumberField extends Field<number> {
  encode(value: number, what: string): Buffer
}

const whole = (
  [least, most]: readonly [number, number],
  write: (value: number) => Buffer,
  decode: (bytes: Buffer) => number,
): NumberField => ({
  encode(value, what) {
    if (!Number.isSafeInteger(value) || value < least || value > most)
      throw errors.ERR_NETLINK_ARGUMENT({ what, value, expected: `a whole number from ${least} to ${most}` })
    return write(value)
  },
  decode,
})

export const u8 = whole([0, 0xff], b.u8, (bytes) => b.readU8(bytes))
export const be16 = whole([0, 0xffff], b.be16, (bytes) => b.readBe16(bytes))
export const be32 = whole([0, 0xffffffff], b.be32, (bytes) => b.readBe32(bytes))
export const signedBe32 = whole([-(2 ** 31), 2 ** 31 - 1], b.be32, (bytes) => b.readBe32(bytes) | 0)
export const be64 = whole([0, Number.MAX_SAFE_INTEGER], b.be64, (bytes) => b.readBe64(bytes))

/** Text that ends with NUL. */
export const text: Field<string> = {
  encode(value, what) {
    if (value === '' || value.includes('\0'))
      throw errors.ERR_NETLINK_ARGUMENT({ what, value, expected: 'text without NUL that is not empty' })
    return b.text(value)
  },
  decode: b.readText,
}

export const bytes: Field<Uint8Array> = { encode: (value) => value, decode: (value) => value }

/** One of some names, each with the kernel's number for it. What has no name stays a number. */
export function oneOf<const N extends Readonly<Record<string, number>>>(
  numbers: N,
  field: Field<number> = be32,
): Field<keyof N | number> {
  const names = new Map(Object.entries(numbers).map(([name, value]) => [value, name]))
  return {
    encode(value, what) {
      if (typeof value === 'number') return field.encode(value, what)
      if (!Object.hasOwn(numbers, value))
        throw errors.ERR_NETLINK_ARGUMENT({ what, value, expected: Object.keys(numbers).join(', ') })
      return field.encode(numbers[value]!, what)
    },
    decode(bytes) {
      const value = field.decode(bytes)
      return names.get(value) ?? value
    },
  }
}

/** Any of some names, each with the kernel's bit for it. Bits without a name are left out. */
export function flags<const N extends Readonly<Record<string, number>>>(
  bits: N,
  field: Field<number> = be32,
): Field<readonly (keyof N)[]> {
  return {
    encode(names, what) {
      let value = 0
      for (const name of names) {
        if (!Object.hasOwn(bits, name))
          throw errors.ERR_NETLINK_ARGUMENT({ what, value: name, expected: Object.keys(bits).join(', ') })
        value |= bits[name]!
      }
      return field.encode(value, what)
    },
    decode(bytes) {
      const value = field.decode(bytes)
      return Object.keys(bits).filter((name) => (value & bits[name]!) !== 0)
    },
  }
}
