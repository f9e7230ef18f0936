import { malformed } from '../errors.ts'
import { align, readU16 } from './bytes.ts'

const NLA_F_NESTED = 0x8000
const NLA_TYPE_MASK = 0x3fff
const NLA_HDRLEN = 4

/** An attribute to send: bytes, nested attributes, or undefined to leave it out. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[] | undefined]

/** The attributes of a message by type; of a repeated one the last counts, as in the kernel. */
export type Attributes = ReadonlyMap<number, Buffer>

export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  const parts: Uint8Array[] = []
  for (const [type, value] of attributes) {
    if (value === undefined) continue
    const isBytes = value instanceof Uint8Array
    const payload = isBytes ? value : encodeAttributes(value)
    const bytes = Buffer.alloc(align(NLA_HDRLEN + payload.length))
    bytes.writeUInt16LE(NLA_HDRLEN + payload.length, 0)
    bytes.writeUInt16LE(isBytes ? type : type | NLA_F_NESTED, 2)
    bytes.set(payload, NLA_HDRLEN)
    parts.push(bytes)
  }
  return Buffer.concat(parts)
}

export function decodeAttributes(bytes: Buffer, start = 0): Attributes {
  return new Map(listAttributes(bytes, start))
}

/** The attributes in order, repeated ones included. */
export function listAttributes(bytes: Buffer, start = 0): [type: number, value: Buffer][] {
  const found: [number, Buffer][] = []
  // Fewer than four bytes at the end are padding.
  for (let offset = start; offset + NLA_HDRLEN <= bytes.length; ) {
    const length = readU16(bytes, offset)
    if (length < NLA_HDRLEN || offset + length > bytes.length)
      throw malformed(`attribute of ${length} bytes at offset ${offset} of ${bytes.length}`)
    found.push([
      readU16(bytes, offset + 2) & NLA_TYPE_MASK,
      bytes.subarray(offset + NLA_HDRLEN, offset + length),
    ])
    offset += align(length)
  }
  return found
}

/** Decodes the attribute when it is there. */
export function optional<T>(attributes: Attributes, type: number, read: (bytes: Buffer) => T): T | undefined {
  const bytes = attributes.get(type)
  return bytes && read(bytes)
}

/** The attributes inside another one; none when it isn't there. */
export function nested(attributes: Attributes, type: number): Attributes {
  const bytes = attributes.get(type)
  return bytes ? decodeAttributes(bytes) : new Map()
}

/** Drops the keys whose value is undefined, so that results show only what the kernel said. */
export function present<T extends object>(
  fields: T,
): { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
} {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined)
  // Object.fromEntries forgets the keys' types; the filter above is what the return type says.
  return Object.fromEntries(kept) as ReturnType<typeof present<T>>
}
