import {
  type Change,
  type Element,
  elements,
  chains as nftChains,
  rules as nftRules,
  sets,
  tables,
} from '@podwire/netlink/nftables'
import { encodeIp } from '@podwire/netlink/transport'
import { type AddressRange, type IpFamily, mergeRanges, numberToAddress } from '../ipam/cidr.ts'
import {
  BRIDGE_TABLE,
  chains,
  type FirewallPlan,
  families,
  setNames,
  setRef,
  setsOf,
  TABLE,
} from './layout.ts'
import { duplicateRules, rules } from './rules.ts'

/** Makes the tables anew, without published ports: whatever was in them is gone in the same transaction. */
export function rebuildTables(plan: FirewallPlan, comment: string): (Change | readonly Change[])[] {
  return [
    tables.add(TABLE),
    tables.del(TABLE),
    tables.add(TABLE, { comment }),
    families.flatMap(setsOf).map(([ref, set]) => sets.add(ref, set)),
    families.flatMap((family) => [
      ...fill(setNames(family).pods, plan.networks, family),
      ...fill(setNames(family).direct, [...plan.networks, ...(plan.direct ?? [])], family),
    ]),
    Object.entries(chains).map(([chain, base]) => nftChains.add({ ...TABLE, chain }, { base })),
    rules(plan).map(([chain, rule]) => nftRules.add({ ...TABLE, chain }, rule)),
    duplicatesFilter(plan),
  ]
}

/** How many rules the tables hold when nobody touched them. */
export const ruleCounts = (plan: FirewallPlan) => ({
  inet: rules(plan).length,
  bridge: plan.dropDuplicatesFrom ? duplicateRules(plan).length : 0,
})

function fill(set: string, ranges: readonly AddressRange[], family: IpFamily): Change[] {
  const bytes = (value: bigint) => encodeIp(numberToAddress(value, family))
  const list: Element[] = mergeRanges(ranges, family).flatMap(({ first, last }) =>
    elements.range(bytes(first), bytes(last)),
  )
  return elements.add(setRef(set), list)
}

/** A promiscuous bridge both forwards a pod's packet and lets the host route it back: the second one is dropped. */
function duplicatesFilter(plan: FirewallPlan): Change[] {
  if (!plan.dropDuplicatesFrom) return []
  const chain = { ...BRIDGE_TABLE, chain: 'output' }
  return [
    tables.add(BRIDGE_TABLE),
    tables.del(BRIDGE_TABLE),
    tables.add(BRIDGE_TABLE),
    nftChains.add(chain, { base: { type: 'filter', hook: 'output', priority: 0 } }),
    ...duplicateRules(plan).map((rule) => nftRules.add(chain, rule)),
  ]
}
