import { setTimeout as sleep } from 'node:timers/promises'
import {
  addresses,
  links,
  type Netlink,
  NetlinkError,
  openNetlink,
  routes,
  writeSysctl,
} from '@podwire/netlink'
import { bridgeFull, interfaceTaken } from '../errors.ts'
import type { PodRecord } from '../records.ts'
import { macFor } from './bridge.ts'
import { type Courier, codeOf } from './courier.ts'
import type { PodLinkNames } from './names.ts'
import { silence } from './silence.ts'

const LOOPBACK = 1

export interface LinkPlan {
  readonly record: PodRecord
  readonly names: PodLinkNames
  /** Index of the bridge. */
  readonly bridge: number
  readonly hairpin: boolean
}

/**
 * Makes the pod's veth pair, one end a port of the bridge, the other in the sandbox with its addresses and the way out.
 * Returns the index of the host's end. In as few exchanges with the kernel as it can be done in.
 * @param sandbox descriptor of the sandbox's network namespace
 */
export async function connectPod(
  host: Netlink,
  sandbox: number,
  plan: LinkPlan,
  courier: Courier,
): Promise<number> {
  const [, { index, link }] = await courier.batch(host, pairFor(plan, sandbox)).catch(explain(plan.record))
  // Before 5.1 the kernel leaves out an index that is the same as the link's own.
  await configure(plan.record, sandbox, link ?? index, courier)
  await carrierOf(host, index, courier)
  return index
}

/** Makes both ends, the host's a port of the bridge and up. */
function pairFor({ record, names, bridge, hairpin }: LinkPlan, sandbox: number) {
  const { interfaceName, mtu } = record
  const mac = macFor(record.addresses[0]?.address ?? '0.0.0.0')
  return [
    links.add({
      kind: 'veth',
      name: names.host,
      mtu,
      master: bridge,
      // Each queue is an entry of sysfs: two on each end took a third of the time that making the pair takes.
      queues: 1,
      peer: { name: interfaceName, mtu, address: mac, netns: sandbox, queues: 1 },
    }),
    // For the indexes; and while the link is down, as asking for it settles its state: brought up in an unsettled one it would
    // be taken for running, then for broken, then for running again.
    links.brief(names.host),
    // With hairpin the bridge sends a frame back to the pod it came from.
    links.set(names.host, { up: true, ...silence(mtu), ...(hairpin ? { bridgePort: { hairpin } } : {}) }),
  ] as const
}

/** Brings up what is inside the sandbox, with the pod's addresses and the way out. */
async function configure(
  { interfaceName, mtu, addresses: own }: PodRecord,
  sandbox: number,
  dev: number,
  courier: Courier,
) {
  using pod = openNetlink({ netns: sandbox })
  const isV6 = own.some(({ address }) => address.includes(':'))
  // Container runtimes turn IPv6 off in namespaces that they expect to have none.
  if (isV6) writeSysctl(`net/ipv6/conf/${interfaceName}/disable_ipv6`, 0, sandbox)
  await courier.batch(pod, [
    // Without it a pod doesn't reach itself.
    links.set(LOOPBACK, { up: true }),
    ...(isV6 ? [] : [links.set(dev, silence(mtu))]),
    links.set(dev, { up: true }),
    ...own.map(({ address, prefixLength }) =>
      addresses.add({ dev, address: `${address}/${prefixLength}`, noDad: address.includes(':') }),
    ),
    ...own.map(({ gateway }) => routes.add({ destination: 'default', gateway, dev })),
  ])
}

const carrierPollMs = 2
const carrierPolls = 50

/**
 * Waits until the bridge forwards for a port whose other end is up now. The kernel sees to that a little later, and drops
 * what the pod sends before; asking for the link makes it do so at once since Linux 6.8.
 */
async function carrierOf(host: Netlink, port: number, courier: Courier) {
  for (let poll = 0; poll < carrierPolls; poll++) {
    if ((await courier.run(host, links.brief(port))).running) return
    await sleep(carrierPollMs)
  }
}

const explain =
  ({ interfaceName, netns }: PodRecord) =>
  (error: unknown): never => {
    const code = codeOf(error)
    if (code === 'E54' || code === 'EXFULL') throw bridgeFull(error)
    // The host's end isn't there either, so that it was the name of the other one.
    if (code === 'EEXIST' && failuresOf(error).includes('ENODEV'))
      throw interfaceTaken(interfaceName, netns.path, error)
    throw error
  }

const failuresOf = (error: unknown): string[] =>
  error instanceof NetlinkError && Array.isArray(error.details['failures'])
    ? error.details['failures'].map(codeOf)
    : []

/** What differs from the plan, each in a phrase; empty when the pod is right. */
export async function linkDifferences(host: Netlink, plan: LinkPlan, courier: Courier): Promise<string[]> {
  const { record, names, bridge, hairpin } = plan
  const port = await courier.findLink(host, names.host)
  if (!port) return [`its link ${names.host} is gone`]
  const differences: string[] = []
  if (!port.up) differences.push(`its link ${names.host} is down`)
  if (port.master !== bridge) differences.push(`its link ${names.host} is not a port of the bridge`)
  else if ((port.bridgePort?.hairpin ?? false) !== hairpin)
    differences.push(`hairpin of ${names.host} is ${hairpin ? 'off' : 'on'}`)
  return [...differences, ...(await insideDifferences(record, courier))]
}

async function insideDifferences(
  { netns, interfaceName, mtu, addresses: expected }: PodRecord,
  courier: Courier,
): Promise<string[]> {
  using pod = openNetlink({ netns: netns.path })
  const own = await courier.findLink(pod, interfaceName)
  if (!own) return [`${interfaceName} is gone`]
  const differences: string[] = []
  if (!own.up) differences.push(`${interfaceName} is down`)
  if (own.mtu !== mtu) differences.push(`the MTU of ${interfaceName} is ${own.mtu}, not ${mtu}`)
  const there = await courier.run(pod, addresses.list({ dev: own.index }))
  const ways = await courier.run(pod, routes.list({ dev: own.index }))
  for (const { address, prefixLength, gateway } of expected) {
    const full = `${address}/${prefixLength}`
    if (!there.some((found) => found.address === full)) differences.push(`${interfaceName} lacks ${full}`)
    const hasWay = ways.some((way) => way.destination === 'default' && way.gateway === gateway)
    if (!hasWay) differences.push(`the default route via ${gateway} is gone`)
  }
  return differences
}
