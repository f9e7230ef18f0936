// What pods send and get. Both are written here rather than by a library, as they are the path of every packet: a question is
// a header and one name, and an answer repeats the question's bytes and points at them, which keeps it small.

export const RCODE = {
  noError: 0,
  formErr: 1,
  servFail: 2,
  nxDomain: 3,
  notImp: 4,
  refused: 5,
  badVers: 16,
} as const

/** What a pod asks. */
export interface Query {
  readonly bytes: Buffer
  /** In lower case, no dot at its end; `.` for the root. Empty where it can't be read. */
  readonly name: string
  readonly type: number
  readonly class: number
  /** Where the question ends in the bytes; 12 where there is none to repeat. */
  readonly end: number
  /** Whether it speaks EDNS, and so understands it. */
  readonly edns: boolean
  /** Bytes of an answer over UDP that the asker takes. */
  readonly udpSize: number
  /** What to answer at once, as there is no question that could be answered. */
  readonly problem?: number
}

/** A record, its name left out: that of the question, or what the CNAME before it leads to. */
export interface DnsRecord {
  readonly type: number
  readonly rdata: Buffer
  /** Of A and AAAA, as text. */
  readonly address?: string
}

export interface Response {
  readonly rcode: number
  readonly records?: readonly DnsRecord[]
  /** Of all records, in seconds. */
  readonly ttl?: number
  /** Why, for those who look: RFC 8914's code, and text. */
  readonly reason?: { readonly code: number; readonly text: string }
}

export const TYPE = {
  ...{ A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, HINFO: 13, MX: 15, TXT: 16, AAAA: 28, SRV: 33, NAPTR: 35 },
  ...{ DNAME: 39, OPT: 41, DS: 43, SSHFP: 44, DNSKEY: 48, TLSA: 52, SVCB: 64, HTTPS: 65, SPF: 99 },
  ...{ IXFR: 251, AXFR: 252, ANY: 255, URI: 256, CAA: 257 },
} as const

const HEADER = 12
const LEAST_UDP = 512
/** More would be cut in fragments on some way, and fragments get lost; all of the field uses this figure. */
export const MOST_UDP = 1232
const EXTENDED_ERROR = 15

/** @returns undefined for what gets no answer: a stray, or an answer, which would go on for ever */
export function readQuery(bytes: Buffer): Query | undefined {
  if (bytes.length < HEADER) return undefined
  const flags = bytes.readUInt16BE(2)
  if (flags & 0x8000) return undefined
  const unreadable = (problem: number): Query => ({
    ...{ bytes, problem, name: '', type: 0, class: 0, end: HEADER, edns: false, udpSize: LEAST_UDP },
  })
  if (flags & 0x7800) return unreadable(RCODE.notImp)
  if (flags & 0x0200 || bytes.readUInt32BE(4) !== 0x10000 || bytes.readUInt16BE(8) !== 0)
    return unreadable(RCODE.formErr)
  const asked = readName(bytes)
  if (!asked || asked.end + 4 > bytes.length) return unreadable(RCODE.formErr)
  const end = asked.end + 4
  const question = {
    ...{
      bytes,
      name: asked.name,
      type: bytes.readUInt16BE(end - 4),
      class: bytes.readUInt16BE(end - 2),
      end,
    },
  }
  // The one record that a question has beside it, unless it is signed, which nobody asks of this server.
  const edns = end + 11 <= bytes.length && bytes[end] === 0 && bytes.readUInt16BE(end + 1) === TYPE.OPT
  if (!edns) return { ...question, edns, udpSize: LEAST_UDP }
  const udpSize = Math.min(MOST_UDP, Math.max(LEAST_UDP, bytes.readUInt16BE(end + 3)))
  if (bytes[end + 6] !== 0) return { ...question, edns, udpSize, problem: RCODE.badVers }
  return { ...question, edns, udpSize }
}

const DOT = 0x2e
const BACKSLASH = 0x5c
/** Where names become text, one at a time. */
const scratch = Buffer.alloc(256)

/** The name asked for: no pointers, and in its labels nothing that would read as something else once it is text. */
function readName(bytes: Buffer): { name: string; end: number } | undefined {
  let at = HEADER
  let written = 0
  for (;;) {
    const length = bytes[at++]
    if (length === undefined || length > 63) return undefined
    if (length === 0) break
    if (at + length >= bytes.length || written + 1 + length > 254) return undefined
    if (written > 0) scratch[written++] = DOT
    for (const end = at + length; at < end; at++) {
      const byte = bytes[at] ?? 0
      if (byte <= 0x20 || byte >= 0x7f || byte === DOT || byte === BACKSLASH) return undefined
      scratch[written++] = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
    }
  }
  return { name: written === 0 ? '.' : scratch.toString('latin1', 0, written), end: at }
}

/**
 * The bytes of an answer.
 * @param most bytes; what is longer comes back without records and says that it is cut
 */
export function encodeResponse(
  query: Query,
  response: Response,
  most: number,
): { bytes: Buffer; truncated: boolean } {
  const { records = [], ttl = 0 } = response
  const reason = query.edns ? response.reason : undefined
  const opt = query.edns ? 11 + (reason ? 6 + Buffer.byteLength(reason.text) : 0) : 0
  const size = records.reduce((sum, { rdata }) => sum + 12 + rdata.length, query.end + opt)
  const truncated = size > most
  const sent = truncated ? [] : records
  const bytes = Buffer.allocUnsafe(truncated ? query.end + opt : size)

  query.bytes.copy(bytes, 0, 0, query.end)
  // An answer, to what was asked; recursion and "checking disabled" as asked, recursion available.
  const kept = query.bytes.readUInt16BE(2) & 0x7910
  bytes.writeUInt16BE(0x8080 | kept | (truncated ? 0x0200 : 0) | (response.rcode & 15), 2)
  bytes.writeUInt16BE(query.end > HEADER ? 1 : 0, 4)
  bytes.writeUInt16BE(sent.length, 6)
  bytes.writeUInt16BE(0, 8)
  bytes.writeUInt16BE(query.edns ? 1 : 0, 10)

  let owner = HEADER
  let at = query.end
  for (const { type, rdata } of sent) {
    bytes.writeUInt16BE(0xc000 | owner, at)
    bytes.writeUInt16BE(type, at + 2)
    bytes.writeUInt16BE(1, at + 4)
    bytes.writeUInt32BE(ttl, at + 6)
    bytes.writeUInt16BE(rdata.length, at + 10)
    rdata.copy(bytes, at + 12)
    // The records after it are those of the name that it leads to. A chain is short: no pointer gets to its limit of 16 kB.
    if (type === TYPE.CNAME) owner = at + 12
    at += 12 + rdata.length
  }
  if (query.edns) writeOpt(bytes, at, response.rcode >> 4, reason)
  return { bytes, truncated }
}

function writeOpt(bytes: Buffer, at: number, extendedRcode: number, reason: Response['reason']): void {
  bytes[at] = 0
  bytes.writeUInt16BE(TYPE.OPT, at + 1)
  bytes.writeUInt16BE(MOST_UDP, at + 3)
  bytes.writeUInt32BE(extendedRcode << 24, at + 5)
  bytes.writeUInt16BE(reason ? bytes.length - at - 11 : 0, at + 9)
  if (!reason) return
  bytes.writeUInt16BE(EXTENDED_ERROR, at + 11)
  bytes.writeUInt16BE(bytes.length - at - 15, at + 13)
  bytes.writeUInt16BE(reason.code, at + 15)
  bytes.write(reason.text, at + 17)
}
