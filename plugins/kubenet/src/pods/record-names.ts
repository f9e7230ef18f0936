import { statSync } from 'node:fs'
import { errnoOf, type PodRef, podKey } from '@podwire/api'

/**
 * Which sandboxes have a pod of some name. Pods ask for names, hundreds of times a second and in vain if they like: the records are
 * read when some of them changed, and not again and again while they do.
 */
export interface RecordNames {
  /** Some may be gone, or another pod's by now. */
  sandboxesOf(pod: Pick<PodRef, 'namespace' | 'name'>): readonly string[]
  /** What this process writes is known at once; what others do a little later. */
  note(pod: PodRef): void
}

/** Milliseconds between two readings of all records. */
const pauseMs = 250

// What is written within a tick of the file system's clock after it was read has the same time.
const tickMs = 50

/** @param dir the directory of the records */
export function createRecordNames(dir: string, list: () => readonly PodRef[]): RecordNames {
  let byName = new Map<string, string[]>()
  let seen: bigint | undefined
  let isSettled = false
  let readAt = Number.NEGATIVE_INFINITY

  function put({ sandboxId, ...pod }: PodRef) {
    const key = podKey(pod)
    const known = byName.get(key) ?? []
    if (!known.includes(sandboxId)) byName.set(key, [...known, sandboxId])
  }

  function refresh() {
    const now = changedAt(dir)
    if (now === seen && isSettled) return
    if (performance.now() - readAt < pauseMs) return
    seen = now
    isSettled = now === undefined || Date.now() - Number(now / 1_000_000n) > tickMs
    byName = new Map()
    for (const pod of list()) put(pod)
    readAt = performance.now()
  }

  return {
    sandboxesOf(pod) {
      refresh()
      return byName.get(podKey(pod)) ?? []
    },
    note: put,
  }
}

/** Nanoseconds since 1970. */
function changedAt(dir: string): bigint | undefined {
  try {
    return statSync(dir, { bigint: true }).mtimeNs
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
