/** One after the other for each key; different keys at once. */
export interface Exclusive {
  run<T>(key: string, work: () => Promise<T>): Promise<T>
  /** Whether something runs, or waits to. */
  isBusy(key: string): boolean
}

export function createExclusive(): Exclusive {
  // The last one that was asked for; an entry goes with it.
  const last = new Map<string, Promise<unknown>>()
  return {
    run: (key, work) => {
      const before = last.get(key)
      const next = before ? before.then(work, work) : work()
      last.set(key, next)
      const ended = () => {
        if (last.get(key) === next) last.delete(key)
      }
      next.then(ended, ended)
      return next
    },
    isBusy: (key) => last.has(key),
  }
}
