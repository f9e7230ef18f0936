import type { Netlink, Request, Results } from '@podwire/netlink'

/**
 * When requests run: at once, as most take microseconds and a thread's turn costs more; off the event loop while the
 * kernel's lock, which everything about links waits for, is held for long: by deletions of ours, or by somebody else's.
 */
export interface Scheduling {
  run<T>(netlink: Netlink, request: Request<T>): Promise<T>
  batch<const R extends readonly Request<unknown>[]>(netlink: Netlink, requests: R): Promise<Results<R>>
}

export function createScheduling(isDeleting: () => boolean): Scheduling {
  const yieldWhenLong = createYielding()
  let busyUntil = 0

  async function schedule<T>(off: () => Promise<T>, atOnce: () => T): Promise<T> {
    await yieldWhenLong()
    const begun = performance.now()
    if (isDeleting() || begun < busyUntil) return off()
    try {
      return atOnce()
    } finally {
      const ended = performance.now()
      if (ended - begun > slowMs) busyUntil = ended + busyMs
    }
  }

  return {
    run: (netlink, request) =>
      schedule(
        () => netlink.run(request),
        () => netlink.runSync(request),
      ),
    batch: (netlink, requests) =>
      schedule(
        () => netlink.batch(requests),
        () => netlink.batchSync(requests),
      ),
  }
}

// A request that takes this long has waited for somebody else, who may be at it for a while. A collection of garbage takes less.
const slowMs = 12
const busyMs = 30

const longestTurnMs = 8

/** Resolves at once, or, where hundreds of pods at a time have made this turn of the event loop long, in a later one. */
function createYielding(): () => Promise<void> {
  let begun: number | undefined

  function isTurnLong(): boolean {
    if (begun !== undefined) return performance.now() - begun > longestTurnMs
    begun = performance.now()
    setImmediate(() => {
      begun = undefined
    })
    return false
  }

  return async () => {
    while (isTurnLong()) await nextTurn()
  }
}

export const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))
