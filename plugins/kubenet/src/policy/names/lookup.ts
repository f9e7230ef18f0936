import { type Cache, type CachedAnswer, keyOf } from './cache.ts'
import { type Answer, type Asked, MOST_CNAMES } from './upstream-answer.ts'
import type { Upstreams } from './upstreams.ts'
import { RCODE, TYPE } from './wire.ts'

export interface Lookup {
  /** What the cache has, which is asked for again when it is about to go: a name in use stays there. */
  cached(asked: Asked): CachedAnswer | undefined
  /** The same question of several is asked once. @throws Error when no upstream answers, or too much is under way */
  find(asked: Asked): Promise<CachedAnswer>
  stats(): { readonly inFlight: number; readonly prefetches: number; readonly failures: number }
}

/** A failure is told for a second without asking again. */
const FAILURE_LASTS = 1_000

export interface LookupOptions {
  readonly cache: Cache
  readonly upstreams: Upstreams
  /** Appended, one after the other, to names of one label. */
  readonly search: () => readonly string[]
  readonly mostInFlight: number
  /** For all that an answer takes, in milliseconds; less than clients wait, so that they hear of a failure. */
  readonly deadline: number
}

export function createLookup({ cache, upstreams, search, mostInFlight, deadline }: LookupOptions): Lookup {
  const inFlight = new Map<string, Promise<CachedAnswer>>()
  const failed = new Map<string, { readonly until: number; readonly error: unknown }>()
  let [prefetches, failures] = [0, 0]

  function cached(asked: Asked): CachedAnswer | undefined {
    const found = cache.get(asked)
    if (!found) return undefined
    const left = found.expires - performance.now()
    if (left < Math.max(1_000, found.lifetime * 100) && inFlight.size < mostInFlight / 2) {
      const key = keyOf(asked)
      if (!inFlight.has(key) && !failedLately(key)) {
        prefetches++
        // Where it fails, the answer is good to its end.
        start(asked).catch(() => undefined)
      }
    }
    return found
  }

  async function find(asked: Asked): Promise<CachedAnswer> {
    const key = keyOf(asked)
    const underWay = inFlight.get(key)
    if (underWay) return underWay
    const failure = failedLately(key)
    if (failure) throw failure.error
    if (inFlight.size >= mostInFlight) throw new Error(`${mostInFlight} questions are under way already`)
    return start(asked)
  }

  function start(asked: Asked): Promise<CachedAnswer> {
    const key = keyOf(asked)
    const asking = resolve(asked)
      .then((answer) => cache.set(asked, answer))
      .catch((error) => {
        failures++
        rememberFailure(key, error)
        throw error
      })
      .finally(() => inFlight.delete(key))
    inFlight.set(key, asking)
    return asking
  }

  /** A short name means one of a search domain's, where there is one, as it does to the host's own programs. */
  async function resolve({ name, type }: Asked): Promise<Answer> {
    const end = performance.now() + deadline
    const domains = name.includes('.') || name === '.' ? [] : search()
    for (const domain of domains) {
      const whole = `${name}.${domain}`
      const answer = await followed({ name: whole, type }, end)
      if (answer.rcode === RCODE.nxDomain) continue
      return { ...answer, records: [aliasTo(whole), ...answer.records] }
    }
    return followed({ name, type }, end)
  }

  async function followed(asked: Asked, end: number): Promise<Answer> {
    let answer = await upstreams.ask(asked, end)
    while (answer.next !== undefined) {
      // Records without an end of their own are the chain alone.
      if (answer.records.length > MOST_CNAMES) throw new Error('its CNAMEs have no end')
      const further: Answer = await upstreams.ask({ name: answer.next, type: asked.type }, end)
      const records = [...answer.records, ...further.records]
      answer = { ...further, records, ttl: Math.min(answer.ttl, further.ttl) }
    }
    return answer
  }

  function failedLately(key: string) {
    const failure = failed.get(key)
    return failure && failure.until > performance.now() ? failure : undefined
  }

  function rememberFailure(key: string, error: unknown) {
    const now = performance.now()
    // The oldest come first, as all last equally long.
    for (const [old, { until }] of failed) {
      if (until > now && failed.size < mostInFlight) break
      failed.delete(old)
    }
    failed.delete(key)
    failed.set(key, { until: now + FAILURE_LASTS, error })
  }

  return { cached, find, stats: () => ({ inFlight: inFlight.size, prefetches, failures }) }
}

function aliasTo(name: string) {
  const labels = name.split('.').map((label) => Buffer.from(label))
  const rdata = Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), label]),
    Buffer.from([0]),
  ])
  return { type: TYPE.CNAME, rdata }
}
