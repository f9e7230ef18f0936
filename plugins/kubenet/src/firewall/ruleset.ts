import {
  type Change,
  type Element,
  elements,
  chains as nftChains,
  rules as nftRules,
  sets,
  type TableRef,
  tables,
} from '@podwire/netlink/nftables'
import { encodeIp } from '@podwire/netlink/transport'
import { type AddressRange, type IpFamily, mergeRanges, numberToAddress } from '../ipam/cidr.ts'
import {
  type ChainName,
  chains,
  type FirewallPlan,
  families,
  policySets,
  portMaps,
  sentinelOf,
  setNames,
  setsOf,
  tablesOf,
} from './layout.ts'
import { duplicateRules, rules } from './rules.ts'

/** Makes the tables anew, without published ports: whatever was in them is gone in the same transaction. */
export function rebuildTables(
  name: string,
  plan: FirewallPlan,
  comment: string,
): (Change | readonly Change[])[] {
  const { inet: table, bridge } = tablesOf(name)
  const fill = (set: string, ranges: readonly AddressRange[], family: IpFamily) =>
    elements.add({ ...table, set }, intervals(ranges, family))
  return [
    tables.add(table),
    tables.del(table),
    tables.add(table, { comment }),
    [...families.flatMap((family) => setsOf(table, family)), ...policySets(table)].map(([ref, set]) =>
      sets.add(ref, set),
    ),
    families.flatMap((family) => [
      ...fill(setNames(family).pods, plan.networks, family),
      ...fill(setNames(family).direct, [...plan.networks, ...(plan.direct ?? [])], family),
    ]),
    portMaps.flatMap((map) => elements.add({ ...table, set: map.map }, [sentinelOf(map)])),
    chainsOf(plan).map(([chain, base]) => nftChains.add({ ...table, chain }, base ? { base } : {})),
    rules(plan).map(([chain, rule]) => nftRules.add({ ...table, chain }, rule)),
    duplicatesFilter(bridge, plan),
  ]
}

// Packets pass by no chain that has nothing to say.
function chainsOf(plan: FirewallPlan) {
  const used = new Set(rules(plan).map(([chain]) => chain))
  return Object.entries(chains).filter(([chain]) => used.has(chain as ChainName)) // the keys are those
}

/** How many rules the tables hold when nobody touched them, of chains that all pods share. */
export const ruleCounts = (plan: FirewallPlan) => ({
  inet: chainsOf(plan).map(
    ([chain]) => [chain, rules(plan).filter(([own]) => own === chain).length] as const,
  ),
  bridge: plan.dropDuplicatesFrom ? duplicateRules(plan).length : 0,
})

function intervals(ranges: readonly AddressRange[], family: IpFamily): Element[] {
  const bytes = (value: bigint) => encodeIp(numberToAddress(value, family))
  return mergeRanges(ranges, family).flatMap(({ first, last }) => elements.range(bytes(first), bytes(last)))
}

/** A promiscuous bridge both forwards a pod's packet and lets the host route it back: the second one is dropped. */
function duplicatesFilter(table: TableRef, plan: FirewallPlan): Change[] {
  if (!plan.dropDuplicatesFrom) return []
  const chain = { ...table, chain: 'output' }
  return [
    tables.add(table),
    tables.del(table),
    tables.add(table),
    nftChains.add(chain, { base: { type: 'filter', hook: 'output', priority: 0 } }),
    ...duplicateRules(plan).map((rule) => nftRules.add(chain, rule)),
  ]
}
