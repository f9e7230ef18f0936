import { errors } from '../errors.ts'
import { align, readU16 } from './bytes.ts'

const NLA_F_NESTED = 0x8000
const NLA_TYPE_MASK = 0x3fff
const NLA_HDRLEN = 4

/** An attribute to send: bytes, nested attributes, or undefined to leave it out. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[] | undefined]

/** The attributes of a message by type; of a repeated one the last counts, as in the kernel. */
export interface Attributes {
  get(type: number): Buffer | undefined
}

/** @param header what goes before them: the fixed part of the message */
export function encodeAttributes(attributes: readonly Attribute[], header: Uint8Array = nothing): Buffer {
  const bytes = Buffer.alloc(header.length + lengthOf(attributes))
  bytes.set(header)
  writeAttributes(attributes, bytes, header.length)
  return bytes
}

const nothing = new Uint8Array()
const MAX_LENGTH = 0xffff

const isBytes = (value: Uint8Array | readonly Attribute[]): value is Uint8Array => value instanceof Uint8Array

function lengthOf(attributes: readonly Attribute[]): number {
  let length = 0
  for (const [, value] of attributes)
    if (value !== undefined) length += align(NLA_HDRLEN + (isBytes(value) ? value.length : lengthOf(value)))
  return length
}

/** Returns where the next one goes. */
function writeAttributes(attributes: readonly Attribute[], bytes: Buffer, start: number): number {
  let offset = start
  for (const [type, value] of attributes) {
    if (value === undefined) continue
    const begin = offset + NLA_HDRLEN
    let end = begin
    if (isBytes(value)) {
      bytes.set(value, begin)
      end += value.length
    } else end = writeAttributes(value, bytes, begin)
    if (end - offset > MAX_LENGTH)
      throw errors.ERR_NETLINK_ARGUMENT({
        what: 'attribute',
        value: `${end - offset} bytes`,
        expected: `at most ${MAX_LENGTH} bytes`,
      })
    bytes.writeUInt16LE(end - offset, offset)
    bytes.writeUInt16LE(isBytes(value) ? type : type | NLA_F_NESTED, offset + 2)
    offset = align(end)
  }
  return offset
}

export function decodeAttributes(bytes: Buffer, start = 0): Attributes {
  // A link has some fifty of them and few are asked for, so that each is cut out only then.
  const offsets = new Map<number, number>()
  for (const offset of attributeOffsets(bytes, start)) offsets.set(typeAt(bytes, offset), offset)
  return {
    get(type) {
      const offset = offsets.get(type)
      return offset === undefined ? undefined : valueAt(bytes, offset)
    },
  }
}

/** One attribute alone, without looking at those after it. */
export function findAttribute(bytes: Buffer, start: number, type: number): Buffer | undefined {
  for (let offset = start; offset + NLA_HDRLEN <= bytes.length; ) {
    if (typeAt(bytes, offset) === type) return valueAt(bytes, offset)
    offset += align(lengthAt(bytes, offset))
  }
  return undefined
}

/** The attributes in order, repeated ones included. */
export function listAttributes(bytes: Buffer, start = 0): [type: number, value: Buffer][] {
  return attributeOffsets(bytes, start).map((offset) => [typeAt(bytes, offset), valueAt(bytes, offset)])
}

function attributeOffsets(bytes: Buffer, start: number): number[] {
  const offsets: number[] = []
  // Fewer than four bytes at the end are padding.
  for (let offset = start; offset + NLA_HDRLEN <= bytes.length; ) {
    offsets.push(offset)
    offset += align(lengthAt(bytes, offset))
  }
  return offsets
}

function lengthAt(bytes: Buffer, offset: number): number {
  const length = readU16(bytes, offset)
  if (length < NLA_HDRLEN || offset + length > bytes.length)
    throw errors.ERR_NETLINK_MALFORMED({
      what: `attribute of ${length} bytes at offset ${offset} of ${bytes.length}`,
    })
  return length
}

const typeAt = (bytes: Buffer, offset: number) => readU16(bytes, offset + 2) & NLA_TYPE_MASK
const valueAt = (bytes: Buffer, offset: number) =>
  bytes.subarray(offset + NLA_HDRLEN, offset + lengthAt(bytes, offset))

/** Decodes the attribute when it is there. */
export function optional<T>(attributes: Attributes, type: number, read: (bytes: Buffer) => T): T | undefined {
  const bytes = attributes.get(type)
  return bytes && read(bytes)
}

const none: Attributes = { get: () => undefined }

/** The attributes inside another one; none when it isn't there. */
export function nested(attributes: Attributes, type: number): Attributes {
  const bytes = attributes.get(type)
  return bytes ? decodeAttributes(bytes) : none
}

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** Drops the keys whose value is undefined, so that results show only what the kernel said. */
export function present<T extends object>(fields: T): Present<T> {
  const kept: { [K in keyof T]?: unknown } = {}
  for (const key in fields) if (fields[key] !== undefined) kept[key] = fields[key]
  return kept as Present<T> // what is left is what the type says
}
