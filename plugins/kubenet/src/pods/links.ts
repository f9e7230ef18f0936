import type { PodRecord } from '../pod-record.ts'
import type { ShapedLink } from '../shaping/shaping.ts'
import type { PodContext } from './context.ts'

/** The pod's link as shaping needs it; undefined when it is gone. */
export async function shapedLinkOf(context: PodContext, record: PodRecord): Promise<ShapedLink | undefined> {
  const link = await context.kernel.findLink(context.podLinks.names(record.sandboxId).host)
  return link && shapedLink(context, record, link.index)
}

export function shapedLink({ podLinks }: PodContext, record: PodRecord, index: number): ShapedLink {
  const alias = podLinks.alias(record)
  return { index, mtu: record.mtu, ifb: { name: podLinks.names(record.sandboxId).egress, alias } }
}
