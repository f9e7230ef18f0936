import { type CniError, errors } from '../errors.ts'
import type { Deadline } from '../invoke/deadline.ts'

/** When those before have ended: the last who held the lock exclusively, and everyone. */
interface Queue {
  readonly exclusive: Promise<void>
  readonly all: Promise<void>
}

const queues = new Map<string, Queue>()
const free: Queue = { exclusive: Promise.resolve(), all: Promise.resolve() }

/**
 * Runs `work` under a lock of this process, first come, first served. Who shares it runs beside others who do; who holds it
 * exclusively runs beside nobody.
 */
export async function withLock<Value>(
  name: string,
  mode: 'exclusive' | 'shared',
  deadline: Deadline,
  work: () => Promise<Value>,
): Promise<Value> {
  const queue = queues.get(name) ?? free
  const before = mode === 'exclusive' ? queue.all : queue.exclusive
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  // Who gives up waiting must not let the next one in past those before.
  const ended = before.then(() => released)
  append(
    name,
    mode === 'exclusive'
      ? { exclusive: ended, all: ended }
      : { exclusive: queue.exclusive, all: Promise.all([queue.all, ended]).then(() => {}) },
  )
  try {
    if (queue !== free) await unlessAborted(before, name, deadline)
    return await work()
  } finally {
    release()
  }
}

function append(name: string, queue: Queue): void {
  queues.set(name, queue)
  void queue.all.then(() => {
    if (queues.get(name) === queue) queues.delete(name)
  })
}

function unlessAborted(before: Promise<void>, lock: string, deadline: Deadline): Promise<void> {
  const { signal } = deadline
  return new Promise((resolve, reject) => {
    const abort = () => reject(gaveUpWaiting(lock, deadline))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    void before.then(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
  })
}

function gaveUpWaiting(lock: string, { passed, signal }: Deadline): CniError {
  const deadlineMs = passed()
  return deadlineMs === undefined
    ? errors.ERR_CNI_ABORTED({ lock }, signal.reason)
    : errors.ERR_CNI_DEADLINE({ lock, deadlineMs }, signal.reason)
}
