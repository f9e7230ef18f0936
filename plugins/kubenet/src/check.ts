import type { PodRef } from '@podwire/api'
import { podLinkNames } from './datapath/names.ts'
import { type LinkPlan, linkDifferences } from './datapath/pod-link.ts'
import { portElements } from './host-ports/port-elements.ts'
import type { Node } from './node.ts'
import { isNetnsOf, type PodRecord } from './records.ts'
import { shapingDifferences } from './shaping/shaping.ts'

/** In what a pod's network is not as it was set up, each in a phrase; empty when it is right. */
export async function podDifferences(node: Node, pod: PodRef): Promise<string[]> {
  const { netlink, courier, firewall } = node
  const record = node.records.read(pod.sandboxId)
  if (!record) return ['it was never set up here']
  if (!isNetnsOf(record)) return ['its network namespace is gone']
  const plan = linkPlanOf(node, record)
  const differences = await linkDifferences(netlink, plan, courier)
  const link = await courier.findLink(netlink, plan.names.host)
  if (link) {
    const shaped = { names: plan.names, index: link.index, mtu: record.mtu }
    differences.push(...(await shapingDifferences(netlink, courier, shaped, record.bandwidth)))
  }
  if (!firewall.problem && !firewall.holds(portElements(record)))
    differences.push('its host ports are not published')
  return differences
}

/** What a pod's link should be like. */
export function linkPlanOf(node: Node, record: PodRecord): LinkPlan {
  return { record, names: podLinkNames(record.sandboxId), bridge: node.bridgeIndex, hairpin: node.hairpin }
}
