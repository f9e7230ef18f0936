import { type AddressRange, type IpFamily, mergeRanges } from '../ipam/cidr.ts'
import { subtractTraffic, type Traffic } from './traffic.ts'

/** Packets of some kind to some addresses, or from there. */
export interface Matches {
  readonly ranges: readonly AddressRange[]
  readonly traffic: readonly Traffic[]
}

/** Addresses in a row, with the same traffic. */
export interface Box extends Traffic {
  readonly first: bigint
  readonly last: bigint
}

/**
 * What of the allowed is not denied, in boxes that have no packet in common: the kernel's sets take no overlapping ones, and so
 * one look-up tells whether a packet passes, however many rules there are.
 */
export function allowedBoxes(allow: readonly Matches[], deny: readonly Matches[], family: IpFamily): Box[] {
  const classes = [...classesOf(allow, family, true), ...classesOf(deny, family, false)]
  const changes = new Map<bigint, { starts: number[]; ends: number[] }>()
  const at = (point: bigint) => {
    const change = changes.get(point) ?? { starts: [], ends: [] }
    changes.set(point, change)
    return change
  }
  for (const [index, { ranges }] of classes.entries())
    for (const { first, last } of ranges) {
      at(first).starts.push(index)
      at(last + 1n).ends.push(index)
    }

  const points = [...changes.keys()].sort((a, b) => (a < b ? -1 : 1))
  const active = new Set<number>()
  const known = new Map<string, readonly Traffic[]>()
  const spans: { first: bigint; last: bigint; traffic: readonly Traffic[] }[] = []
  for (const [index, point] of points.entries()) {
    for (const end of at(point).ends) active.delete(end)
    for (const start of at(point).starts) active.add(start)
    const next = points[index + 1]
    if (next === undefined || active.size === 0) continue
    const traffic = passing()
    if (traffic.length === 0) continue
    const previous = spans.at(-1)
    if (previous && previous.traffic === traffic && previous.last + 1n === point) previous.last = next - 1n
    else spans.push({ first: point, last: next - 1n, traffic })
  }
  return spans.flatMap(({ first, last, traffic }) => traffic.map((one) => ({ first, last, ...one })))

  // Most addresses are in the same few classes.
  function passing(): readonly Traffic[] {
    const key = [...active].sort((a, b) => a - b).join()
    const passing = known.get(key)
    if (passing) return passing
    const here = [...active].map((index) => classes[index]!)
    const of = (isAllowed: boolean) =>
      here.filter((one) => one.isAllowed === isAllowed).flatMap(({ traffic }) => traffic)
    const traffic = subtractTraffic(of(true), of(false))
    known.set(key, traffic)
    return traffic
  }
}

/** All addresses with the same traffic together. */
function classesOf(all: readonly Matches[], family: IpFamily, isAllowed: boolean) {
  const classes = new Map<string, { traffic: readonly Traffic[]; ranges: AddressRange[] }>()
  for (const { ranges, traffic } of all) {
    const key = JSON.stringify(traffic)
    const one = classes.get(key) ?? { traffic, ranges: [] }
    classes.set(key, one)
    one.ranges.push(...ranges)
  }
  return [...classes.values()].map(({ traffic, ranges }) => ({
    isAllowed,
    traffic,
    ranges: mergeRanges(ranges, family),
  }))
}
