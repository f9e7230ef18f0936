import type { Answer, Asked } from './upstream-answer.ts'

/** An answer, and until when it is one. */
export interface CachedAnswer extends Answer {
  /** As performance.now() has it. */
  readonly expires: number
  /** Seconds for which it was kept. */
  readonly lifetime: number
}

export interface Cache {
  /** Undefined where there is none that is still good. */
  get(asked: Asked): CachedAnswer | undefined
  set(asked: Asked, answer: Answer): CachedAnswer
  size(): { readonly entries: number; readonly bytes: number }
}

/** Seconds. Less would ask upstreams for every packet of a name whose TTL is 0. */
const FLOOR = 5
/** Seconds: a name whose owner says a week is looked at again in an hour. */
const CEILING = 3_600
/** Seconds for "there is none", which is what people wait for to change. */
const NEGATIVE_CEILING = 60
/** What an entry takes beside its records: keys, objects. A guess on the high side. */
const ENTRY_BYTES = 500
const RECORD_BYTES = 200

/** The least recently used go first where one of the limits is reached. */
export function createCache(limits: { readonly entries: number; readonly bytes: number }): Cache {
  // In the order of their use: a map keeps that of insertion.
  const kept = new Map<string, CachedAnswer>()
  let bytes = 0

  const drop = (key: string) => {
    const answer = kept.get(key)
    if (!answer) return
    kept.delete(key)
    bytes -= bytesOf(key, answer)
  }

  return {
    get(asked) {
      const key = keyOf(asked)
      const answer = kept.get(key)
      if (!answer) return undefined
      if (answer.expires <= performance.now()) {
        drop(key)
        return undefined
      }
      kept.delete(key)
      kept.set(key, answer)
      return answer
    },
    set(asked, answer) {
      const key = keyOf(asked)
      const isNegative = !answer.records.some(({ type }) => type === asked.type)
      const lifetime = Math.max(FLOOR, Math.min(isNegative ? NEGATIVE_CEILING : CEILING, answer.ttl))
      const cached = { ...answer, lifetime, expires: performance.now() + lifetime * 1000 }
      drop(key)
      kept.set(key, cached)
      bytes += bytesOf(key, cached)
      for (const oldest of kept.keys()) {
        if (kept.size <= limits.entries && bytes <= limits.bytes) break
        drop(oldest)
      }
      return cached
    },
    size: () => ({ entries: kept.size, bytes }),
  }
}

export const keyOf = ({ name, type }: Asked) => `${type} ${name}`

function bytesOf(key: string, { records }: Answer): number {
  return records.reduce((sum, { rdata }) => sum + rdata.length + RECORD_BYTES, ENTRY_BYTES + 2 * key.length)
}
