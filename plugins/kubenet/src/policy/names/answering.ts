import { messageOf } from '@podwire/api'
import type { Filter } from './filter.ts'
import type { AdmittedAddress, Refusal, ResolverHooks } from './hooks.ts'
import type { Allowances } from './limits.ts'
import type { Lookup } from './lookup.ts'
import { addressRecord, isAskedOfUpstreams } from './upstream-answer.ts'
import { type DnsRecord, encodeResponse, type Query, RCODE, type Response, readQuery, TYPE } from './wire.ts'

/** Reasons of RFC 8914 that an answer gives to those who look. */
const REASON = { other: 0, blocked: 15, filtered: 17, noReachableAuthority: 22 } as const

/**
 * Seconds for which addresses stay admitted beyond the TTL: programs connect to what they looked up a while ago, and an answer
 * takes its time to arrive.
 */
const GRACE = 60
/** Seconds for names that the host answers itself: its pods come and go. */
const OWN_TTL = 5
/** Milliseconds that admitting may take. */
const ADMIT_DEADLINE = 2_000

/** Milliseconds between failures that are logged. */
const LOG_EVERY = 1_000

const CLASS_IN = 1
const NOTHING: Response = { rcode: RCODE.noError }

export interface Counters {
  questions: number
  fromCache: number
  refused: number
  overLimit: number
  failed: number
}

export interface AnsweringOptions {
  readonly hooks: ResolverHooks
  readonly lookup: Lookup
  readonly filter: Filter
  readonly allowances: Allowances
  readonly counters: Counters
}

/**
 * From the bytes of a question to those of its answer. Never rejects, whatever the bytes are and whatever the hooks throw; what
 * goes wrong lets nothing through.
 *
 * A name that isn't allowed does not exist (NXDOMAIN), rather than REFUSED: every resolver takes that as final and at once. With
 * REFUSED, glibc asks twice and stops going through search domains, Go and c-ares ask every server again, and musl ignores the
 * answer and waits for its time to be over. There is no SOA beside it, so nobody keeps it, or takes it for names below.
 */
export function createAnswering({ hooks, lookup, filter, allowances, counters }: AnsweringOptions) {
  let loggedAt = Number.NEGATIVE_INFINITY

  return async (
    bytes: Buffer,
    source: string,
    most: (query: Query) => number,
  ): Promise<Buffer | undefined> => {
    const query = readQuery(bytes)
    if (!query) return undefined
    counters.questions++
    if (!allowances.question(source)) {
      tellLimit(source, query)
      return undefined
    }
    try {
      return await answer(query, source, most(query))
    } catch (error) {
      fail(source, query, error)
      return encodeResponse(query, { rcode: RCODE.servFail }, most(query)).bytes
    }
  }

  async function answer(query: Query, source: string, most: number): Promise<Buffer> {
    const send = (response: Response) => encodeResponse(query, response, most).bytes
    if (query.problem !== undefined) return send({ rcode: query.problem })
    // Zone transfers and questions about the server itself: nobody's programs.
    const isTransfer = query.type === TYPE.AXFR || query.type === TYPE.IXFR
    if (query.class !== CLASS_IN || isTransfer || query.type === TYPE.OPT)
      return send({ rcode: RCODE.refused })

    const decision = hooks.decide(source, query.name)
    if (decision === 'refuse') return send(refuseName(source, query))
    if (query.type === TYPE.ANY) return send({ rcode: RCODE.noError, records: [RFC_8482], ttl: OWN_TTL })
    if (decision !== 'allow') return send(own(decision.addresses, query.type))
    if (!isAskedOfUpstreams(query.type)) return send(NOTHING)

    const asked = { name: query.name, type: query.type }
    const cached = lookup.cached(asked)
    if (cached) counters.fromCache++
    const found = cached ?? (await ask(query, source))
    if ('failure' in found) return send(found.failure)
    // The policy may have changed meanwhile.
    if (!cached && hooks.decide(source, query.name) !== 'allow') return send(refuseName(source, query))

    const passed = filter(
      found.records,
      (address) => hooks.permits?.(source, address) ?? false,
      (name) => hooks.decide(source, name) !== 'refuse',
    )
    for (const { address, kind } of passed.refused)
      refuse({ source, name: query.name, type: query.type, reason: 'address', address, kind })
    // At least one, as some clients take 0 for "never valid".
    const ttl = Math.max(1, Math.ceil((found.expires - performance.now()) / 1000))
    const isEmptied = passed.refused.length > 0 && passed.addresses.length === 0
    const { bytes, truncated } = encodeResponse(
      query,
      // The name is there, and has no address for this pod.
      isEmptied ? FILTERED : { rcode: found.rcode, records: passed.records, ttl },
      most,
    )
    if (passed.addresses.length > 0 && !truncated)
      await admit(
        source,
        query.name,
        passed.addresses.map((address) => ({ address, ttl: ttl + GRACE })),
      )
    return bytes
  }

  async function ask(query: Query, source: string) {
    if (!allowances.wait(source)) return { failure: overLimit(source, query) }
    try {
      if (!allowances.name(source, query.name.length)) return { failure: overLimit(source, query) }
      return await lookup.find({ name: query.name, type: query.type })
    } catch (error) {
      fail(source, query, error)
      const reason = { code: REASON.noReachableAuthority, text: 'no server of the host answers' }
      return { failure: { rcode: RCODE.servFail, reason } }
    } finally {
      allowances.done(source)
    }
  }

  /** Counts all, and logs one now and then: a pod that asks and asks must not fill the log. */
  function fail(source: string, { name }: Query, error: unknown): void {
    counters.failed++
    if (performance.now() - loggedAt < LOG_EVERY) return
    loggedAt = performance.now()
    const { failed } = counters
    hooks.log.warn('a name could not be resolved for a pod', {
      source,
      name,
      error: messageOf(error),
      failed,
    })
  }

  /** SERVFAIL, which says "not now": a name over the limit may well exist. */
  function overLimit(source: string, query: Query): Response {
    tellLimit(source, query)
    return { rcode: RCODE.servFail, reason: { code: REASON.other, text: 'the pod asks for too many names' } }
  }

  function tellLimit(source: string, { name, type }: Query): void {
    counters.overLimit++
    if (allowances.tell(source)) tell({ source, name, type, reason: 'limit' })
  }

  function refuseName(source: string, { name, type }: Query): Response {
    refuse({ source, name, type, reason: 'name' })
    const reason = { code: REASON.blocked, text: 'the policy of the pod does not allow this name' }
    return { rcode: RCODE.nxDomain, reason }
  }

  function refuse(refusal: Refusal): void {
    counters.refused++
    tell(refusal)
  }

  function tell(refusal: Refusal): void {
    try {
      hooks.onRefused?.(refusal)
    } catch (error) {
      hooks.log.error('a listener of refused names threw', { error: messageOf(error) })
    }
  }

  async function admit(source: string, name: string, addresses: readonly AdmittedAddress[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const message = `the addresses were not admitted within ${ADMIT_DEADLINE} ms`
      timer = setTimeout(() => reject(new Error(message)), ADMIT_DEADLINE)
    })
    try {
      await Promise.race([hooks.admit(source, name, addresses), late])
    } finally {
      clearTimeout(timer)
    }
  }
}

const FILTERED: Response = {
  rcode: RCODE.noError,
  reason: { code: REASON.filtered, text: "all its addresses are the host's or private" },
}

/** What a server may say that does not tell all there is of a name. */
const RFC_8482: DnsRecord = { type: TYPE.HINFO, rdata: Buffer.from('\x07RFC8482\x00', 'latin1') }

/** @param addresses of both families, as the host knows its own pods */
function own(addresses: readonly string[], type: number): Response {
  const records = addresses.map(addressRecord).filter((record) => record.type === type)
  return { rcode: RCODE.noError, records, ttl: OWN_TTL }
}
