import type { PodRef } from '@podwire/api'
import { elementKey, type PortElement, portElements } from '../firewall/port-elements.ts'
import { isNetnsOf, type PodRecord } from '../pod-record.ts'
import { shapingDifferences } from '../shaping/shaping.ts'
import type { PodContext } from './context.ts'
import { shapedLinkOf } from './links.ts'

/** In what a pod's own network is not as it was set up, each in a phrase; empty when it is right. */
export async function podDifferences(context: PodContext, pod: PodRef): Promise<string[]> {
  const record = context.records.read(pod.sandboxId)
  if (!record) return ['it was never set up here']
  if (!isNetnsOf(record)) return ['its network namespace is gone']
  const differences = await context.datapath.differences(record)
  const link = await shapedLinkOf(context, record)
  if (link) differences.push(...(await shapingDifferences(context.kernel, link, record.bandwidth)))
  differences.push(...wronglyPublished(context, record), ...context.policies.differences(record))
  if (record.changing) differences.push('a change of its ports, limits or policy was not finished')
  return differences
}

function wronglyPublished({ firewall }: PodContext, record: PodRecord): string[] {
  if (firewall.problem) return []
  const own = portElements(record)
  const { addresses, withdrawing = [] } = record
  const missing = own.filter((element) => !firewall.holds([element]))
  const leftover = portElements({ addresses, ports: withdrawing }).filter(
    (element) => !own.some((other) => elementKey(other) === elementKey(element)) && firewall.holds([element]),
  )
  return [
    ...named(missing).map((port) => `its host port ${port} is not published`),
    ...named(leftover).map((port) => `the host port ${port}, which it has no longer, is still published`),
  ]
}

const named = (elements: readonly PortElement[]): readonly string[] => [
  ...new Set(elements.map(({ mapping: { hostPort, protocol } }) => `${hostPort}/${protocol}`)),
]
