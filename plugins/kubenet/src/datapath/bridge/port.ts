import { errnoOf } from '@podwire/api'
import { type Link, links } from '@podwire/netlink'
import { errors } from '../../errors.ts'
import { withoutOwnAddress } from '../../kernel/ipv6.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import type { PodLinks } from '../../ownership/pod-links.ts'
import type { PodLink } from '../datapath.ts'
import { hostMac, podMac } from '../mac.ts'
import { carrierOf, explainPair } from '../pair.ts'
import { configureInside } from './inside.ts'

/** The bridge that a pod's link is a port of. */
export interface PortSettings {
  /** Index of the bridge. */
  readonly bridge: number
  /** Whether the bridge sends a frame back through the port it came from. */
  readonly hairpin: boolean
}

/**
 * Makes the pod's veth pair, one end a port of the bridge, the other in the sandbox with its addresses and the way out.
 * In as few exchanges with the kernel as it can be done in. Returns the index of the host's end.
 */
export async function connectPort(
  kernel: Kernel,
  podLinks: PodLinks,
  port: PortSettings,
  pod: PodLink,
  sandbox: number,
): Promise<number> {
  const requests = pairFor(podLinks, port, pod, sandbox)
  const [, { index, link }] = await kernel.batch(requests).catch(explain(pod))
  // Before 5.1 the kernel leaves out an index that is the same as the link's own.
  await configureInside(kernel, pod, sandbox, link ?? index)
  await carrierOf(kernel, index)
  return index
}

/** Makes both ends, the host's a port of the bridge and up. */
function pairFor(podLinks: PodLinks, { bridge, hairpin }: PortSettings, pod: PodLink, sandbox: number) {
  const { interfaceName, mtu } = pod
  const name = podLinks.names(pod.sandboxId).host
  const mac = podMac(pod)
  return [
    links.add({
      kind: 'veth',
      name,
      mtu,
      address: hostMac(pod),
      master: bridge,
      // Each queue is an entry of sysfs: two on each end took a third of the time that making the pair takes.
      queues: 1,
      peer: { name: interfaceName, mtu, address: mac, netns: sandbox, queues: 1 },
    }),
    // For the indexes; and while the link is down, as asking for it settles its state: brought up in an unsettled one it would
    // be taken for running, then for broken, then for running again.
    links.brief(name),
    // The kernel takes no alias when it makes a link.
    links.set(name, {
      up: true,
      alias: podLinks.alias(pod),
      ...withoutOwnAddress(mtu),
      ...(hairpin ? { bridgePort: { hairpin } } : {}),
    }),
  ] as const
}

const explain =
  (pod: PodLink) =>
  (error: unknown): never => {
    const code = errnoOf(error)
    if (code === 'E54' || code === 'EXFULL') throw errors.BRIDGE_FULL({}, error)
    return explainPair(pod)(error)
  }

/** What is wrong with a pod's port, each in a phrase. */
export function portDifferences(link: Link, { bridge, hairpin }: PortSettings): string[] {
  const differences: string[] = []
  if (!link.up) differences.push(`its link ${link.name} is down`)
  if (link.master !== bridge) differences.push(`its link ${link.name} is not a port of the bridge`)
  else if ((link.bridgePort?.hairpin ?? false) !== hairpin)
    differences.push(`hairpin of ${link.name} is ${hairpin ? 'off' : 'on'}`)
  return differences
}

/** Puts right what {@link portDifferences} tells of. */
export async function mendPort(kernel: Kernel, { index }: Link, { bridge, hairpin }: PortSettings) {
  // What is a port's alone is refused in the request that makes it one.
  await kernel.run(links.set(index, { up: true, master: bridge }))
  await kernel.run(links.set(index, { bridgePort: { hairpin } }))
}
