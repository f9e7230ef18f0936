import { subnetsOf } from '../layout/pod-subnets.ts'
import { isWithin, type Subnet } from '../layout/range.ts'
import type { LeaseEntry } from '../leases/entry.ts'

/** For each lease the subnets of others that lie within its own, or are the same: nobody acquires such, and anybody may write it. */
export function findNested(
  leases: ReadonlyMap<string, LeaseEntry>,
  prefix: string,
): Map<string, readonly Subnet[]> {
  const all = [...leases.values()]
    .flatMap(({ key, subnets }) =>
      subnetsOf(subnets).map((subnet) => ({ node: key.slice(prefix.length), subnet })),
    )
    .sort((a, b) => inOrder(a.subnet, b.subnet))
  const found = new Map<string, Subnet[]>()
  const add = (node: string, subnet: Subnet) => found.set(node, [...(found.get(node) ?? []), subnet])
  const open: (typeof all)[number][] = []
  for (const one of all) {
    // Subnets lie within each other or apart.
    while (open.length > 0 && !isWithin(one.subnet, open.at(-1)!.subnet)) open.pop()
    for (const outer of open) {
      if (outer.node === one.node) continue
      add(outer.node, one.subnet)
      if (outer.subnet.prefixLength === one.subnet.prefixLength) add(one.node, outer.subnet)
    }
    open.push(one)
  }
  return found
}

/** By family and first address; the larger one before those within it. */
function inOrder(a: Subnet, b: Subnet): number {
  if (a.family !== b.family) return a.family - b.family
  if (a.first !== b.first) return a.first < b.first ? -1 : 1
  return a.prefixLength - b.prefixLength
}
