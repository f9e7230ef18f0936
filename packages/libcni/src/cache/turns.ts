import { gaveUpWaiting } from '../errors.ts'
import type { Deadline } from '../invoke/deadline.ts'

const turns = new Map<string, Promise<void>>()

/** Runs `work` once everything of this process that asked for the same key before is through. */
export async function inTurn<Value>(
  key: string,
  deadline: Deadline,
  work: () => Promise<Value>,
): Promise<Value> {
  const before = turns.get(key) ?? Promise.resolve()
  const mine = settleable()
  // Who gives up waiting must not let the next one in past those before.
  const turn = before.then(() => mine.promise)
  turns.set(key, turn)
  void turn.then(() => {
    if (turns.get(key) === turn) turns.delete(key)
  })
  try {
    await unlessAborted(before, key, deadline)
    return await work()
  } finally {
    mine.resolve()
  }
}

function unlessAborted(before: Promise<void>, key: string, { signal, passed }: Deadline): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(gaveUpWaiting(key, passed(), signal.reason))
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
