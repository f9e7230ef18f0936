import { errors } from '../errors.ts'

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

export function be32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

export function be64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigUInt64BE(BigInt(value))
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
  mustHold(bytes, offset, length)
  return bytes.subarray(offset, offset + length)
}

function mustHold(bytes: Buffer, offset: number, length: number) {
  if (offset + length > bytes.length)
    throw errors.ERR_NETLINK_MALFORMED({
      what: `${length} bytes expected at offset ${offset} of ${bytes.length}`,
    })
}

const reader =
  <T>(length: number, read: (bytes: Buffer, offset: number) => T) =>
  (bytes: Buffer, offset = 0): T => {
    mustHold(bytes, offset, length)
    return read(bytes, offset)
  }

export const readU8 = reader(1, (bytes, offset) => bytes.readUInt8(offset))
export const readU16 = reader(2, (bytes, offset) => bytes.readUInt16LE(offset))
export const readBe16 = reader(2, (bytes, offset) => bytes.readUInt16BE(offset))
export const readU32 = reader(4, (bytes, offset) => bytes.readUInt32LE(offset))
export const readI32 = reader(4, (bytes, offset) => bytes.readInt32LE(offset))
export const readBe32 = reader(4, (bytes, offset) => bytes.readUInt32BE(offset))
/** Exact up to 2^53, as below. */
export const readBe64 = reader(8, (bytes, offset) => Number(bytes.readBigUInt64BE(offset)))
/** Counters: exact up to 2^53, which is eight petabytes. */
export const readU64 = reader(8, (bytes, offset) => Number(bytes.readBigUInt64LE(offset)))

/** A C string, up to its NUL or the end. */
export function readText(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end)
}
