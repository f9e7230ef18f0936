/** Who wants to hear of allowed flows: it begins with the first one and ends with the last, so that nobody else pays for it. */
export interface FlowWatch {
  /** Resolves when it has begun, with what ends it; that resolves when all that happened before was told. */
  join(): Promise<() => Promise<void>>
  /** Begins it anew, where somebody wants it: what it was begun with is no more. */
  again(): Promise<void>
}

/** @param begin begins it, and returns what ends it */
export function createFlowWatch(begin: () => Promise<() => Promise<void>>): FlowWatch {
  let watchers = 0
  let end: (() => Promise<void>) | undefined
  // One after the other: who comes while the last one goes must not find it ended.
  let turn: Promise<unknown> = Promise.resolve()

  function settle(isAnew = false): Promise<void> {
    const mine = turn.then(async () => {
      if (end && (isAnew || watchers === 0)) {
        const ending = end
        end = undefined
        // Whoever it was told to may be gone.
        await (isAnew ? ending().catch(() => {}) : ending())
      }
      if (watchers > 0) end ??= await begin()
    })
    turn = mine.catch(() => {})
    return mine
  }

  return {
    async join() {
      watchers++
      let isWatching = true
      const leave = () => {
        if (isWatching) watchers--
        isWatching = false
      }
      try {
        await settle()
      } catch (error) {
        leave()
        throw error
      }
      return async () => {
        leave()
        await settle()
      }
    },
    again: () => settle(true),
  }
}
