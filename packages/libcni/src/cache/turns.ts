const turns = new Map<string, Promise<void>>()

/** Runs `work` once everything of this process that asked for the same key before is through. */
export async function inTurn<Value>(key: string, work: () => Promise<Value>): Promise<Value> {
  const before = turns.get(key)
  const { promise, resolve } = settleable()
  turns.set(key, promise)
  try {
    await before
    return await work()
  } finally {
    if (turns.get(key) === promise) turns.delete(key)
    resolve()
  }
}

function settleable() {
  let resolve = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
