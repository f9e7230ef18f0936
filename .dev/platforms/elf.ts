import { readFileSync } from 'node:fs'

/** The names that a library of a 64-bit little-endian machine offers to others, and those that it needs of them. */
export interface DynamicSymbols {
  readonly machine: number
  readonly defined: ReadonlySet<string>
  readonly needed: ReadonlySet<string>
}

const DYNSYM = 11
const WEAK = 2

/** Reads the dynamic symbols of an ELF file, as `nm -D` lists them. */
export function dynamicSymbols(path: string): DynamicSymbols {
  const bytes = readFileSync(path)
  const sections = Array.from({ length: bytes.readUInt16LE(0x3c) }, (_, index) => {
    const at = Number(bytes.readBigUInt64LE(0x28)) + index * bytes.readUInt16LE(0x3a)
    return {
      type: bytes.readUInt32LE(at + 4),
      start: Number(bytes.readBigUInt64LE(at + 0x18)),
      size: Number(bytes.readBigUInt64LE(at + 0x20)),
      link: bytes.readUInt32LE(at + 0x28),
    }
  })
  const symbols = sections.find(({ type }) => type === DYNSYM)
  const names = symbols && sections[symbols.link]
  if (!symbols || !names) throw new Error(`${path} has no dynamic symbols`)
  const defined = new Set<string>()
  const needed = new Set<string>()
  for (let at = symbols.start + 24; at < symbols.start + symbols.size; at += 24) {
    const start = names.start + bytes.readUInt32LE(at)
    const name = bytes.toString('latin1', start, bytes.indexOf(0, start))
    const isWeak = bytes.readUInt8(at + 4) >> 4 === WEAK
    if (bytes.readUInt16LE(at + 6) !== 0) defined.add(name)
    else if (!isWeak) needed.add(name)
  }
  return { machine: bytes.readUInt16LE(0x12), defined, needed }
}
