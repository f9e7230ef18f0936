import { podKey } from '@podwire/api'
import type { SandboxRecord } from '@podwire/core'
import { addressesOf } from '../pod.ts'
import type { Rates } from './traffic.ts'

/** One pod as it is shown. */
export interface TopRow {
  readonly record: SandboxRecord
  readonly rates: Rates | undefined
}

/** What rows can be sorted by, each with the key that asks for it. */
export const orders = { pod: 'p', address: 'd', in: 'i', out: 'o', age: 'a' } as const

export type Order = keyof typeof orders

const comparisons: Readonly<Record<Order, (a: TopRow, b: TopRow) => number>> = {
  pod: (a, b) => compare(podKey(a.record.pod), podKey(b.record.pod)),
  address: (a, b) => compare(addressesOf(a.record)[0] ?? '', addressesOf(b.record)[0] ?? ''),
  // The busiest, and the youngest, are looked for.
  in: (a, b) => (b.rates?.received ?? 0) - (a.rates?.received ?? 0),
  out: (a, b) => (b.rates?.sent ?? 0) - (a.rates?.sent ?? 0),
  age: (a, b) => compare(b.record.createdAt, a.record.createdAt),
}

export function sorted(rows: readonly TopRow[], by: Order): TopRow[] {
  return [...rows].sort((a, b) => comparisons[by](a, b) || comparisons.pod(a, b))
}

const collator = new Intl.Collator('en', { numeric: true })

function compare(a: string, b: string): number {
  return collator.compare(a, b)
}
