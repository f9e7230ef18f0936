import { isIPv6, SocketAddress } from 'node:net'
import { messageOf } from '@podwire/api'
import { type Answer as Decoded, type DecodedPacket, decode, encode, RECURSION_DESIRED } from 'dns-packet'
import { type DnsRecord, MOST_UDP, RCODE, TYPE } from './wire.ts'

/** A name and a type, as asked of upstreams and kept in the cache. */
export interface Asked {
  /** In lower case, no dot at its end. */
  readonly name: string
  readonly type: number
}

/** What is known of a name. */
export interface Answer {
  readonly rcode: typeof RCODE.noError | typeof RCODE.nxDomain
  /** The CNAMEs from the name asked for on, in order, then the records of the type asked for. */
  readonly records: readonly DnsRecord[]
  /** Seconds, as the server says. */
  readonly ttl: number
  /** Where the chain leads that the server did not follow to its end. */
  readonly next?: string
}

/** A reply that is of no use: broken, too large, or a failure. */
export interface UselessReply {
  readonly problem: string
}

/** Of a message that an upstream sent: the answer, or that all of it comes over TCP, or that it answers something else. */
export type Reading = Answer | UselessReply | 'truncated' | 'foreign'

/** What is larger, or has more records, is nothing that anyone needs and would keep this process busy. */
const MOST_BYTES = 16_384
const MOST_RECORDS = 500
/** Addresses of one answer that are passed on. */
const MOST_ADDRESSES = 64
/** From the name asked for to its end, over as many servers as it takes. */
export const MOST_CNAMES = 16

/** The types that programs ask for, by the library's names; of others, nothing is asked. */
const TYPES: ReadonlyMap<number, string> = new Map(
  [
    ...(['A', 'NS', 'CNAME', 'SOA', 'PTR', 'MX', 'TXT', 'AAAA', 'SRV', 'NAPTR'] as const),
    ...(['DNAME', 'DS', 'SSHFP', 'DNSKEY', 'TLSA', 'SPF', 'CAA'] as const),
  ].map((type) => [TYPE[type], type] as [number, string]),
)
  .set(TYPE.SVCB, 'UNKNOWN_64')
  .set(TYPE.HTTPS, 'UNKNOWN_65')
  .set(TYPE.URI, 'UNKNOWN_256')

export const isAskedOfUpstreams = (type: number) => TYPES.has(type)

export function encodeQuestion({ name, type }: Asked, id: number): Buffer {
  return encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [{ name, type: libraryType(type) }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: MOST_UDP,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  })
}

/** Whatever the bytes are, it returns, and soon. */
export function readAnswer(bytes: Buffer, asked: Asked, id: number): Reading {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== id || !(bytes.readUInt16BE(2) & 0x8000)) return 'foreign'
  const counts = [4, 6, 8, 10].reduce((sum, at) => sum + bytes.readUInt16BE(at), 0)
  if (bytes.length > MOST_BYTES || counts > MOST_RECORDS)
    return { problem: `it answers with ${bytes.length} bytes and ${counts} records` }
  const rcode = bytes.readUInt16BE(2) & 15
  try {
    const message = decode(bytes)
    // The library takes what isn't there for zeros.
    if (decode.bytes > bytes.length) return { problem: 'its answer ends in the middle' }
    const [question] = message.questions ?? []
    if (!question || lower(question.name) !== asked.name || question.type !== libraryType(asked.type))
      return 'foreign'
    if (message.flag_tc) return 'truncated'
    if (rcode === RCODE.noError || rcode === RCODE.nxDomain) return follow(message, asked, rcode)
    return { problem: `it answers with code ${rcode}` }
  } catch (error) {
    return { problem: `its answer can't be read: ${messageOf(error)}` }
  }
}

function follow(
  message: DecodedPacket,
  { name, type }: Asked,
  rcode: Answer['rcode'],
): Answer | UselessReply {
  const answers = (message.answers ?? []).filter((answer) => answer.type !== 'OPT' && answer.class === 'IN')
  const chain: DnsRecord[] = []
  const seen = new Set([name])
  let [owner, ttl] = [name, Number.POSITIVE_INFINITY]
  for (;;) {
    const records = answers.filter((answer) => lower(answer.name) === owner)
    const wanted = records.filter((answer) => answer.type === libraryType(type))
    const cname = records.find((answer) => answer.type === 'CNAME')
    if (wanted.length > 0 || cname?.type !== 'CNAME') {
      const encoded = wanted.flatMap(toRecord)
      const found = [...new Map(encoded.map((record) => [record.rdata.toString('latin1'), record])).values()]
      ttl = Math.min(ttl, ...wanted.map(ttlOf))
      if (found.length > 0)
        return { rcode: RCODE.noError, records: [...chain, ...found.slice(0, MOST_ADDRESSES)], ttl }
      const negative = negativeTtl(message)
      const isEnd = chain.length === 0 || rcode === RCODE.nxDomain || negative !== undefined
      if (!isEnd && !/^[\x21-\x7e]+$/.test(owner)) return { problem: 'its CNAME is not a name to ask for' }
      if (!isEnd) return { rcode, records: chain, ttl, next: owner }
      return { rcode, records: chain, ttl: Math.min(ttl, negative ?? 0) }
    }
    const record = toRecord(cname)[0]
    owner = lower(cname.data)
    if (!record || seen.has(owner) || chain.length >= MOST_CNAMES)
      return { problem: 'its CNAMEs lead nowhere' }
    seen.add(owner)
    chain.push(record)
    ttl = Math.min(ttl, ttlOf(cname))
  }
}

/** @throws Error for what is not an address */
export function addressRecord(address: string): DnsRecord {
  const [record] = toRecord({ type: isIPv6(address) ? 'AAAA' : 'A', name: '.', data: address })
  if (!record) throw new Error(`"${address}" is not an address`)
  return record
}

/** The record's data by itself, names in it whole; nothing for what would not be read again as it was. */
function toRecord(answer: Decoded): DnsRecord[] {
  try {
    const bytes = encode({ type: 'response', answers: [{ ...answer, name: '.' }] })
    decode(bytes)
    // A header, a name of one byte, type, class, TTL and length.
    const rdata = Buffer.from(bytes.subarray(12 + 11))
    const type = bytes.readUInt16BE(13)
    if (answer.type === 'A') return [{ type, rdata, address: answer.data }]
    if (answer.type !== 'AAAA') return [{ type, rdata }]
    // As the system writes it.
    return [{ type, rdata, address: new SocketAddress({ family: 'ipv6', address: answer.data }).address }]
  } catch {
    return []
  }
}

/** RFC 2181: what has the highest bit set is zero. */
function ttlOf(answer: Decoded): number {
  const ttl = 'ttl' in answer ? (answer.ttl ?? 0) : 0
  return ttl > 0x7fffffff ? 0 : ttl
}

/** RFC 2308: for how long it is so that there is nothing. */
function negativeTtl(message: DecodedPacket): number | undefined {
  const soa = message.authorities?.find((record) => record.type === 'SOA')
  return soa?.type === 'SOA' ? Math.min(ttlOf(soa), soa.data.minimum ?? 0) : undefined
}

// The types of the library's typings are fewer than those it takes.
const libraryType = (type: number) => TYPES.get(type) as 'A'

const lower = (name: string) => name.toLowerCase()
