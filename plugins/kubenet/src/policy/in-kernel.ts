import { errnoOf } from '@podwire/api'
import { type Change, type Element, elements, type SetRef } from '@podwire/netlink/nftables'
import type { Firewall } from '../firewall/firewall.ts'

/** Looks at what the kernel has of the tables; undefined where it has no such thing. */
export function ifThere<T>(ask: () => T): T | undefined {
  try {
    return ask()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

export const isThere = (ask: () => unknown) => ifThere(ask) !== undefined

export const hasElement = (firewall: Firewall, set: string, key: Uint8Array) =>
  isThere(() => firewall.ask((table) => elements.get({ ...table, set }, key)))

/**
 * Puts elements into a set, whether they are in it or not: what is there keeps its value and its timeout unless it is taken out
 * in the same step.
 */
export function renewed(firewall: Firewall, ref: SetRef, wanted: readonly Element[]): Change[] {
  return [
    ...removed(
      firewall,
      ref,
      wanted.map(({ key }) => key),
    ),
    ...(wanted.length > 0 ? elements.add(ref, wanted) : []),
  ]
}

/** Takes those of the keys out of a set that are in it. */
export function removed(firewall: Firewall, ref: SetRef, keys: readonly Uint8Array[]): Change[] {
  const there = keys.filter((key) => hasElement(firewall, ref.set, key))
  return there.length > 0
    ? elements.del(
        ref,
        there.map((key) => ({ key })),
      )
    : []
}

// How often a change is begun anew because pods of other processes came or went meanwhile.
const maxAttempts = 5

/** Whether the kernel refused because somebody else's pod came or went between the look and the change. */
export const wasInTheWay = (error: unknown) => ['ENOENT', 'EEXIST', 'EBUSY'].includes(errnoOf(error) ?? '')

/** Does what another process's pod may get in the way of; then it looks again. */
export function retrying(act: (attempt: number) => void) {
  for (let attempt = 1; ; attempt++) {
    try {
      return act(attempt)
    } catch (error) {
      if (!wasInTheWay(error) || attempt === maxAttempts) throw error
    }
  }
}

/** The same of what takes more than a turn of the event loop. */
export async function retryingInTime<T>(act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (error) {
      if (!wasInTheWay(error) || attempt === maxAttempts) throw error
    }
  }
}
