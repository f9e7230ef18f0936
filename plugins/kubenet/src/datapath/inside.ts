import { addresses, links, neighbours, routes } from '@podwire/netlink'
import type { Kernel } from '../kernel/kernel.ts'
import type { PodLink } from './datapath.ts'

const LOOPBACK = 1

/** What a pod's interface has, and what it reaches others by. */
export interface Inside {
  /** With prefix length. */
  readonly addresses: readonly string[]
  /** Of each family. */
  readonly gateways: readonly string[]
  /** Where no address says that the gateways are on the link: their MAC address, as nobody answers who has them. */
  readonly gatewayMac?: string
}

export type InterfaceSettings = Parameters<typeof links.set>[1]

/** What brings up the sandbox with the pod's addresses and the way out; what is there already stays. */
export const insideRequests = (
  { mtu }: PodLink,
  dev: number,
  { addresses: own, gateways, gatewayMac: lladdr }: Inside,
  settings: InterfaceSettings = {},
) => [
  // Without it a pod doesn't reach itself.
  links.set(LOOPBACK, { up: true }),
  ...(Object.keys(settings).length > 0 ? [links.set(dev, settings)] : []),
  links.set(dev, { mtu, up: true }),
  ...own.map((address) => addresses.replace({ dev, address, noDad: address.includes(':') })),
  ...(lladdr ? gateways.map((address) => neighbours.replace({ dev, address, lladdr })) : []),
  ...gateways.map((gateway) =>
    routes.replace({ destination: 'default', gateway, dev, onlink: lladdr !== undefined }),
  ),
]

/** What differs inside the sandbox, each in a phrase. */
export async function insideDifferences(
  kernel: Kernel,
  { netns, interfaceName, mtu }: PodLink,
  { addresses: expected, gateways, gatewayMac }: Inside,
): Promise<string[]> {
  using inside = kernel.open(netns.path)
  const own = await inside.findLink(interfaceName)
  if (!own) return [`${interfaceName} is gone`]
  const dev = own.index
  const differences: string[] = []
  if (!own.up) differences.push(`${interfaceName} is down`)
  if (own.mtu !== mtu) differences.push(`the MTU of ${interfaceName} is ${own.mtu}, not ${mtu}`)
  const there = await inside.run(addresses.list({ dev }))
  for (const address of expected)
    if (!there.some((found) => found.address === address))
      differences.push(`${interfaceName} lacks ${address}`)
  const ways = await inside.run(routes.list({ dev }))
  const known = gatewayMac ? await inside.run(neighbours.list({ dev })) : []
  for (const gateway of gateways) {
    const hasWay = ways.some((way) => way.destination === 'default' && way.gateway === gateway)
    if (!hasWay) differences.push(`the default route via ${gateway} is gone`)
    const isKnown = known.some(({ address, lladdr }) => address === gateway && lladdr === gatewayMac)
    if (gatewayMac && !isKnown) differences.push(`the neighbour ${gateway} is gone`)
  }
  return differences
}

/** Index of the pod's interface, where it is still there. */
export async function insideIndex(
  kernel: Kernel,
  { netns, interfaceName }: PodLink,
): Promise<number | undefined> {
  using inside = kernel.open(netns.path)
  return (await inside.findLink(interfaceName))?.index
}
