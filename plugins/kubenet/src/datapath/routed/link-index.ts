import { randomInt } from 'node:crypto'
import { errnoOf } from '@podwire/api'

// The kernel counts from 1 for links that don't say. Each process has a beginning of its own.
const first = 1 << 16
const end = 1 << 24
const maxAttempts = 8
let next: number | undefined

/**
 * Chooses an index for a link and the one after it for its other end, so that routes and neighbours by it can be asked for
 * in the same breath as the link. Another process may have chosen it too: then another one is tried.
 * @param make makes the link; throws EBUSY when it can't have that index
 */
export async function freeIndex(make: (index: number) => Promise<void>): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    next ??= first + 2 * randomInt((end - first) / 2)
    const index = next
    next = index + 2 < end ? index + 2 : first
    try {
      await make(index)
      return index
    } catch (error) {
      if (errnoOf(error) !== 'EBUSY' || attempt === maxAttempts) throw error
      next = undefined
    }
  }
}
