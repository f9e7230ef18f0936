import { encodeIp } from '@podwire/netlink/transport'
import { type AddressRange, type IpFamily, mergeRanges, numberToAddress } from '../ipam/cidr.ts'
import { addElements, type Element } from './elements.ts'
import { type FirewallPlan, families, setNames, setsOf, TABLE } from './layout.ts'
import { addChain, addRule, addSet, addTable, type Chain, deleteTable, type Step } from './nf-tables.ts'
import { duplicateRules, rules } from './rules.ts'

const chains: readonly Chain[] = [
  { table: TABLE, name: 'prerouting', type: 'nat', hook: 0, priority: -100 },
  { table: TABLE, name: 'output', type: 'nat', hook: 3, priority: -100 },
  { table: TABLE, name: 'postrouting', type: 'nat', hook: 4, priority: 100 },
  { table: TABLE, name: 'input', type: 'filter', hook: 1, priority: 0 },
]

/** Makes the tables anew, without published ports: whatever was in them is gone in the same transaction. */
export function rebuildTables(plan: FirewallPlan, userData: Buffer): Step[] {
  return [
    addTable('inet', TABLE),
    deleteTable('inet', TABLE),
    addTable('inet', TABLE, userData),
    ...families.flatMap(setsOf).map((set, index) => addSet('inet', TABLE, set, index + 1)),
    ...families.flatMap((family) => [
      ...fill(setNames(family).pods, plan.networks, family),
      ...fill(setNames(family).direct, [...plan.networks, ...(plan.direct ?? [])], family),
    ]),
    ...chains.map((chain) => addChain('inet', chain)),
    ...rules(plan).map(([chain, rule]) => addRule('inet', TABLE, chain, rule)),
    ...duplicatesFilter(plan),
  ]
}

/** How many rules the tables hold when nobody touched them. */
export const ruleCounts = (plan: FirewallPlan) => ({
  inet: rules(plan).length,
  bridge: plan.dropDuplicatesFrom ? duplicateRules(plan).length : 0,
})

function fill(set: string, ranges: readonly AddressRange[], family: IpFamily): Step[] {
  const bytes = (value: bigint) => encodeIp(numberToAddress(value, family))
  const highest = family === 4 ? 2n ** 32n - 1n : 2n ** 128n - 1n
  const elements = mergeRanges(ranges, family).flatMap(({ first, last }): Element[] => [
    { key: bytes(first) },
    ...(last === highest ? [] : [{ key: bytes(last + 1n), isIntervalEnd: true }]),
  ])
  return elements.length > 0 ? [addElements('inet', { table: TABLE, set }, elements)] : []
}

/** A promiscuous bridge both forwards a pod's packet and lets the host route it back: the second one is dropped. */
function duplicatesFilter(plan: FirewallPlan): Step[] {
  if (!plan.dropDuplicatesFrom) return []
  return [
    addTable('bridge', TABLE),
    deleteTable('bridge', TABLE),
    addTable('bridge', TABLE),
    addChain('bridge', { table: TABLE, name: 'output', type: 'filter', hook: 3, priority: 0 }),
    ...duplicateRules(plan).map((rule) => addRule('bridge', TABLE, 'output', rule)),
  ]
}
