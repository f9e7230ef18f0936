import { ignoring, type PodInterface } from '@podwire/api'
import { addresses, links, neighbours, routes, rules } from '@podwire/netlink'
import type { Kernel } from '../kernel/kernel.ts'
import type { Requests } from '../kernel/requests.ts'
import type { PodLink } from './datapath.ts'
import { podMac } from './mac.ts'

const LOOPBACK = 1
/** A further interface has the table of this number and its own index. */
const FIRST_OWN_TABLE = 0x5000_0000
/** Before the main table, after the local one. */
const RULE_PRIORITY = 5_000

/** What a pod's interface has, and what it reaches others by. */
export interface Inside {
  /** With prefix length. */
  readonly addresses: readonly string[]
  /** Of each family. */
  readonly gateways: readonly string[]
  /** Where no address says that the gateways are on the link: their MAC address, as nobody answers who has them. */
  readonly gatewayMac?: string
  /** The networks on the link. */
  readonly networks?: readonly string[]
}

export type InterfaceSettings = Parameters<typeof links.set>[1]

/** Of a sandbox's further interface, so that it is no way out for what is sent from the others' addresses. */
const tableOf = ({ isFurther }: PodLink, dev: number): number | undefined =>
  isFurther ? FIRST_OWN_TABLE + dev : undefined

/** Whether the sandbox has a default route already. */
export async function hasWayOut(kernel: Kernel, sandbox: number): Promise<boolean> {
  using inside = kernel.open(sandbox)
  const ways = await inside.run(routes.list())
  return ways.some(({ destination }) => destination === 'default')
}

/** What brings up the sandbox with the pod's addresses and the way out; what is there already stays. */
const insideRequests = (
  pod: PodLink,
  dev: number,
  { addresses: own, gateways, gatewayMac: lladdr, networks = [] }: Inside,
  settings: InterfaceSettings = {},
) => [
  // Without it a pod doesn't reach itself.
  links.set(LOOPBACK, { up: true }),
  ...(Object.keys(settings).length > 0 ? [links.set(dev, settings)] : []),
  links.set(dev, { mtu: pod.mtu, up: true }),
  ...own.map((address) =>
    addresses.replace({
      dev,
      address,
      noDad: address.includes(':'),
      ...(pod.isFurther ? { noPrefixRoute: true } : {}),
    }),
  ),
  ...(lladdr ? gateways.map((address) => neighbours.replace({ dev, address, lladdr })) : []),
  // The kernel takes no gateway that it knows by another interface alone.
  ...(pod.isFurther ? networks : []).map((destination) =>
    routes.replace({ destination, dev, ...tableField(pod, dev) }),
  ),
  ...gateways.map((gateway) =>
    routes.replace({
      destination: 'default',
      gateway,
      dev,
      onlink: lladdr !== undefined,
      ...tableField(pod, dev),
    }),
  ),
]

const tableField = (pod: PodLink, dev: number) => {
  const table = tableOf(pod, dev)
  return table === undefined ? {} : { table }
}

/** Has the kernel do what {@link insideRequests} says, all of it in one exchange where the interface is the only one. */
export async function bringUpInside(
  inside: Requests,
  pod: PodLink,
  dev: number,
  what: Inside,
  settings?: InterfaceSettings,
): Promise<void> {
  await inside.batch(insideRequests(pod, dev, what, settings))
  const table = tableOf(pod, dev)
  if (table === undefined) return
  for (const from of sourcesOf(pod))
    await inside.run(rules.add({ from, table, priority: RULE_PRIORITY })).catch(ignoring('EEXIST'))
}

/** Takes away what would stay behind in a sandbox whose further interface goes; one that is gone itself is fine. */
export async function forgetSources(kernel: Kernel, pod: PodLink): Promise<void> {
  if (!pod.isFurther) return
  using inside = kernel.open(pod.netns.path)
  for (const from of sourcesOf(pod)) {
    const own = (await inside.run(rules.list())).filter(
      (rule) => rule.from === from && rule.priority === RULE_PRIORITY,
    )
    for (const { table } of own)
      if (table !== undefined)
        await inside.run(rules.del({ from, table, priority: RULE_PRIORITY })).catch(ignoring('ENOENT'))
  }
}

const sourcesOf = ({ addresses: own }: PodLink) =>
  own.map(({ address }) => `${address}/${address.includes(':') ? 128 : 32}`)

/** What differs inside the sandbox, each in a phrase. */
export async function insideDifferences(
  kernel: Kernel,
  pod: PodLink,
  { addresses: expected, gateways, gatewayMac }: Inside,
): Promise<string[]> {
  const { netns, interfaceName, mtu } = pod
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
  const ways = await inside.run(routes.list({ dev, ...tableField(pod, dev) }))
  const table = tableOf(pod, dev)
  const known = gatewayMac ? await inside.run(neighbours.list({ dev })) : []
  for (const gateway of gateways) {
    const hasWay = ways.some((way) => way.destination === 'default' && way.gateway === gateway)
    if (!hasWay) differences.push(`the default route via ${gateway} is gone`)
    const isKnown = known.some(({ address, lladdr }) => address === gateway && lladdr === gatewayMac)
    if (gatewayMac && !isKnown) differences.push(`the neighbour ${gateway} is gone`)
  }
  if (table !== undefined) {
    const there = await inside.run(rules.list())
    for (const from of sourcesOf(pod))
      if (!there.some((rule) => rule.from === from && rule.table === table))
        differences.push(`the rule that leads what comes from ${from} out by ${interfaceName} is gone`)
  }
  return differences
}

/** What all data paths tell alike of a pod's interface. */
export function describeInside(
  { interfaceName, addresses: own, mtu, ...pod }: PodLink,
  { addresses: withPrefix, gateways }: Inside,
  host: PodInterface['host'],
): PodInterface {
  const ways = gateways.map((gateway) => ({
    destination: gateway.includes(':') ? '::/0' : '0.0.0.0/0',
    gateway,
  }))
  return {
    name: interfaceName,
    ips: own.map(({ address }) => address),
    mac: podMac({ ...pod, addresses: own }),
    // A gateway for each address, in the same order.
    addresses: withPrefix.map((address, index) => ({
      address,
      ...(gateways[index] === undefined ? {} : { gateway: gateways[index] }),
    })),
    ...(pod.isFurther ? {} : { routes: ways }),
    mtu,
    ...(host ? { host } : {}),
  }
}

/** Index of the pod's interface, where it is still there. */
export async function insideIndex(
  kernel: Kernel,
  { netns, interfaceName }: PodLink,
): Promise<number | undefined> {
  using inside = kernel.open(netns.path)
  return (await inside.findLink(interfaceName))?.index
}
