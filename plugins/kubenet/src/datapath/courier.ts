import type { Link, Netlink, Request, Results } from '@podwire/netlink'
import { links } from '@podwire/netlink'

/**
 * Takes requests to the kernel: at once, as most take microseconds and a thread's turn costs more; off the event loop while
 * the kernel's lock, which everything about links waits for, is held for long: by deletions of ours, or by somebody else's.
 */
export interface Courier {
  batch<const R extends readonly Request<unknown>[]>(netlink: Netlink, requests: R): Promise<Results<R>>
  run<T>(netlink: Netlink, request: Request<T>): Promise<T>
  /** A link, undefined when there is none of this name. */
  findLink(netlink: Netlink, name: string): Promise<Link | undefined>
}

export function createCourier(isDeleting: () => boolean): Courier {
  const breathe = createBreath()
  let busyUntil = 0

  async function take<T>(off: () => Promise<T>, atOnce: () => T): Promise<T> {
    await breathe()
    const begun = performance.now()
    if (isDeleting() || begun < busyUntil) return off()
    try {
      return atOnce()
    } finally {
      const ended = performance.now()
      if (ended - begun > slowMs) busyUntil = ended + busyMs
    }
  }

  const run = <T>(netlink: Netlink, request: Request<T>): Promise<T> =>
    take(
      () => netlink.run(request),
      () => netlink.runSync(request),
    )

  return {
    batch: (netlink, requests) =>
      take(
        () => netlink.batch(requests),
        () => netlink.batchSync(requests),
      ),
    run,
    findLink: (netlink, name) => run(netlink, links.get(name)).catch(unless('ENODEV')),
  }
}

// A request that takes this long has waited for somebody else, who may be at it for a while. A collection of garbage takes less.
const slowMs = 12
const busyMs = 30

const longestTurn = 8

/** Resolves at once, or, where hundreds of pods at a time have made this turn of the event loop long, in a later one. */
function createBreath(): () => Promise<void> {
  let begun: number | undefined

  function isTurnLong(): boolean {
    if (begun !== undefined) return performance.now() - begun > longestTurn
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

/** For `catch`: the errors of these codes are no errors. */
export const unless =
  (...codes: string[]) =>
  (error: unknown): undefined => {
    if (!codes.includes(codeOf(error))) throw error
  }

/** The code that netlink's and node:fs's errors carry. */
export const codeOf = (error: unknown) => String((error as { code?: unknown } | undefined)?.code)
