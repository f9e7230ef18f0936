import { links } from '@podwire/netlink'
import type { Kernel } from '../kernel/kernel.ts'
import { isPodLinkName } from '../ownership/pod-links.ts'

/** The smallest MTU of the links that may carry pods' packets on, as the kubelet chose it. */
export async function defaultMtu(kernel: Kernel): Promise<number> {
  const candidates = (await kernel.run(links.list()))
    .filter((link) => link.up && !link.loopback && !link.pointToPoint && link.mtu >= 576)
    .filter((link) => link.kind !== 'bridge' && link.kind !== 'ifb' && !isPodLinkName(link.name))
    .map(({ mtu }) => mtu)
  return candidates.length > 0 ? Math.min(...candidates) : 1460
}
