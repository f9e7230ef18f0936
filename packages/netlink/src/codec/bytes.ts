import { malformed } from '../errors.ts'

// Netlink speaks the machine's byte order; every machine this package runs on (x64, arm64) is little-endian.

/** Rounds up to netlink's alignment of 4 bytes. */
export const align = (length: number) => Math.ceil(length / 4) * 4

export const u8 = (value: number) => Buffer.of(value)

export function u16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2)
  bytes.writeUInt16LE(value)
  return bytes
}

export function be16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2)
  bytes.writeUInt16BE(value)
  return bytes
}

export function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

/** A C string: NUL-terminated. */
export const text = (value: string) => Buffer.from(`${value}\0`)

export const flag = (value: boolean) => u8(value ? 1 : 0)

/** `bytes[offset…offset+length]`, or an error where the message ends before. */
export function slice(bytes: Buffer, offset: number, length: number): Buffer {
  if (offset + length > bytes.length)
    throw malformed(`${length} bytes expected at offset ${offset} of ${bytes.length}`)
  return bytes.subarray(offset, offset + length)
}

export const readU8 = (bytes: Buffer, offset = 0) => slice(bytes, offset, 1).readUInt8()
export const readU16 = (bytes: Buffer, offset = 0) => slice(bytes, offset, 2).readUInt16LE()
export const readBe16 = (bytes: Buffer, offset = 0) => slice(bytes, offset, 2).readUInt16BE()
export const readU32 = (bytes: Buffer, offset = 0) => slice(bytes, offset, 4).readUInt32LE()
export const readI32 = (bytes: Buffer, offset = 0) => slice(bytes, offset, 4).readInt32LE()
export const readBe32 = (bytes: Buffer, offset = 0) => slice(bytes, offset, 4).readUInt32BE()
/** Counters: exact up to 2^53, which is eight petabytes. */
export const readU64 = (bytes: Buffer, offset = 0) => Number(slice(bytes, offset, 8).readBigUInt64LE())

/** A C string, up to its NUL or the end. */
export function readText(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end)
}
