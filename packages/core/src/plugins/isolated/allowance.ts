import type { Readable } from 'node:stream'

/**
 * Lets a stream bring so much in a second and no more: what is over is left with its writer, who waits. Whatever a plugin
 * writes, its host reads no faster than this.
 */
export function createAllowance(stream: Pick<Readable, 'pause' | 'resume'>, perSecond: number) {
  let left = perSecond
  let refill: NodeJS.Timeout | undefined
  return {
    spend(amount: number): void {
      left -= amount
      refill ??= setTimeout(() => {
        refill = undefined
        left = perSecond
        stream.resume()
      }, 1000).unref()
      if (left <= 0) stream.pause()
    },
    /** Whoever wrote is gone, and what is left of it is little. */
    end(): void {
      clearTimeout(refill)
      left = Number.POSITIVE_INFINITY
      stream.resume()
    },
  }
}
