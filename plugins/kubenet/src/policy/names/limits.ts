/** What one pod may ask for, and what all of them may occupy. */
export interface ResolverLimits {
  /** Questions of a pod in a second, and how many it may have saved up. More get no answer: its programs ask again, slower. */
  readonly questionsPerSecond: number
  readonly questionsAtOnce: number
  /**
   * Bytes of names of a pod that go to upstreams in a second, and saved up: names are a way out for data where a policy has a
   * wildcard. Names from the cache are free.
   */
  readonly nameBytesPerSecond: number
  readonly nameBytesAtOnce: number
  /** Questions that wait for upstreams: of a pod, of all. */
  readonly waitingPerPod: number
  readonly waiting: number
  readonly cacheEntries: number
  readonly cacheBytes: number
  /** TCP connections to each address listened on: of a pod, of all. */
  readonly connectionsPerPod: number
  readonly connections: number
  /** Milliseconds without a question after which a TCP connection is closed. */
  readonly idle: number
  /** Milliseconds that upstreams have for an answer. */
  readonly deadline: number
}

export const DEFAULT_LIMITS: ResolverLimits = {
  questionsPerSecond: 500,
  questionsAtOnce: 2_000,
  nameBytesPerSecond: 1_000,
  nameBytesAtOnce: 64_000,
  waitingPerPod: 100,
  waiting: 500,
  cacheEntries: 10_000,
  cacheBytes: 16 * 2 ** 20,
  connectionsPerPod: 8,
  connections: 512,
  idle: 10_000,
  deadline: 4_000,
}

/** What each pod has left. */
export interface Allowances {
  /** Whether it may ask now. */
  question(source: string): boolean
  /** Whether a name of so many bytes may go out for it. */
  name(source: string, bytes: number): boolean
  /** Whether one more of its questions may wait; then {@link done} follows. */
  wait(source: string): boolean
  done(source: string): void
  /** Whether to tell that it is over a limit: once in a second, however much it asks. */
  tell(source: string): boolean
}

interface Allowance {
  refilledAt: number
  questions: number
  nameBytes: number
  waiting: number
  toldAt: number
}

/** A spoofed source costs no more than this many. */
const MOST_SOURCES = 10_000

export function createAllowances(limits: ResolverLimits): Allowances {
  const sources = new Map<string, Allowance>()

  function of(source: string): Allowance {
    const now = performance.now()
    const known = sources.get(source)
    if (known) {
      const seconds = (now - known.refilledAt) / 1000
      known.questions = Math.min(
        limits.questionsAtOnce,
        known.questions + seconds * limits.questionsPerSecond,
      )
      known.nameBytes = Math.min(
        limits.nameBytesAtOnce,
        known.nameBytes + seconds * limits.nameBytesPerSecond,
      )
      known.refilledAt = now
      return known
    }
    if (sources.size >= MOST_SOURCES) forgetOne()
    const { questionsAtOnce: questions, nameBytesAtOnce: nameBytes } = limits
    const fresh = { refilledAt: now, questions, nameBytes, waiting: 0, toldAt: Number.NEGATIVE_INFINITY }
    sources.set(source, fresh)
    return fresh
  }

  function forgetOne() {
    for (const [source, { waiting }] of sources) {
      if (waiting > 0) continue
      sources.delete(source)
      return
    }
  }

  return {
    question(source) {
      const allowance = of(source)
      if (allowance.questions < 1) return false
      allowance.questions--
      return true
    },
    name(source, bytes) {
      const allowance = of(source)
      if (allowance.nameBytes < bytes) return false
      allowance.nameBytes -= bytes
      return true
    },
    wait(source) {
      const allowance = of(source)
      if (allowance.waiting >= limits.waitingPerPod) return false
      allowance.waiting++
      return true
    },
    done(source) {
      const allowance = sources.get(source)
      if (allowance) allowance.waiting--
    },
    tell(source) {
      const allowance = of(source)
      const now = performance.now()
      if (now - allowance.toldAt < 1_000) return false
      allowance.toldAt = now
      return true
    },
  }
}
