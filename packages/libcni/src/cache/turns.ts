import { gaveUpWaiting } from '../errors.ts'
import type { Deadline } from '../invoke/deadline.ts'

/** When those who asked for a key are through: the last who wanted to be alone, and everyone. */
interface Queue {
  readonly alone: Promise<void>
  readonly all: Promise<void>
}

const queues = new Map<string, Queue>()
const through: Queue = { alone: Promise.resolve(), all: Promise.resolve() }

/**
 * Runs `work` once everything of this process that asked for the same key before is through. Those who ask for it
 * `together` wait for none of their like.
 */
export async function inTurn<Value>(
  key: string,
  how: 'alone' | 'together',
  deadline: Deadline,
  work: () => Promise<Value>,
): Promise<Value> {
  const queue = queues.get(key) ?? through
  const before = how === 'alone' ? queue.all : queue.alone
  const mine = settleable()
  // Who gives up waiting must not let the next one in past those before.
  const turn = before.then(() => mine.promise)
  append(
    key,
    how === 'alone' ? { alone: turn, all: turn } : { alone: queue.alone, all: both(queue.all, turn) },
  )
  try {
    if (queue !== through) await unlessAborted(before, key, deadline)
    return await work()
  } finally {
    mine.resolve()
  }
}

function append(key: string, queue: Queue): void {
  queues.set(key, queue)
  void queue.all.then(() => {
    if (queues.get(key) === queue) queues.delete(key)
  })
}

const both = (a: Promise<void>, b: Promise<void>): Promise<void> => Promise.all([a, b]).then(() => {})

function unlessAborted(before: Promise<void>, key: string, { signal, passed }: Deadline): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(gaveUpWaiting(key, passed(), signal.reason))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    void before.then(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
  })
}

function settleable() {
  let resolve = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
