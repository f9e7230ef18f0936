import type { Link, Netlink, Request, Results } from '@podwire/netlink'
import { links } from '@podwire/netlink'

/**
 * Takes requests to the kernel: at once, as most take microseconds and a thread's turn costs more; off the event loop while
 * deletions hold the kernel's lock, which everything else about links then waits for.
 */
export interface Courier {
  batch<const R extends readonly Request<unknown>[]>(netlink: Netlink, requests: R): Promise<Results<R>>
  run<T>(netlink: Netlink, request: Request<T>): Promise<T>
  /** A link, undefined when there is none of this name. */
  findLink(netlink: Netlink, name: string): Promise<Link | undefined>
}

export function createCourier(isBusy: () => boolean): Courier {
  const breathe = createBreath()

  async function run<T>(netlink: Netlink, request: Request<T>): Promise<T> {
    await breathe()
    return isBusy() ? netlink.run(request) : netlink.runSync(request)
  }

  return {
    async batch(netlink, requests) {
      await breathe()
      return isBusy() ? netlink.batch(requests) : netlink.batchSync(requests)
    },
    run,
    findLink: (netlink, name) => run(netlink, links.get(name)).catch(unless('ENODEV')),
  }
}

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
