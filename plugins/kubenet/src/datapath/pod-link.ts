import { addresses, links, type Netlink, openNetlink, routes, writeSysctl } from '@podwire/netlink'
import { bridgeFull } from '../errors.ts'
import type { PodRecord } from '../records.ts'
import { macFor } from './bridge.ts'
import { type Courier, codeOf } from './courier.ts'
import type { PodLinkNames } from './names.ts'

const LOOPBACK = 1

export interface LinkPlan {
  readonly record: PodRecord
  readonly names: PodLinkNames
  /** Index of the bridge. */
  readonly bridge: number
  readonly hairpin: boolean
}

/** `lo` of the sandbox, without which a pod doesn't reach itself. */
export async function setLoopbackUp(pod: Netlink, courier: Courier) {
  await courier.run(pod, links.set(LOOPBACK, { up: true }))
}

/**
 * Makes the pod's veth pair, one end a port of the bridge, the other in the sandbox with its addresses and the way out.
 * Returns the index of the host's end.
 */
export async function connectPod(host: Netlink, pod: Netlink, plan: LinkPlan, courier: Courier) {
  const { record, names, bridge } = plan
  const { interfaceName, mtu } = record
  const mac = macFor(record.addresses[0]?.address ?? '0.0.0.0')
  const isV6 = record.addresses.some(({ address }) => address.includes(':'))
  await courier.run(
    host,
    links.add({
      kind: 'veth',
      name: names.host,
      mtu,
      // Each queue is an entry of sysfs: two on each end took a third of the time that making the pair takes.
      queues: 1,
      peer: { name: interfaceName, mtu, address: mac, netns: record.netns.path, queues: 1 },
    }),
  )
  const port = (await courier.run(host, links.get(names.host))).index
  await courier
    .batch(host, [silence(port), links.set(port, { up: true, master: bridge })])
    .catch(explainFullBridge)
  const index = (await courier.run(pod, links.get(interfaceName))).index
  // Container runtimes turn IPv6 off in namespaces that they expect to have none.
  if (isV6) writeSysctl(`net/ipv6/conf/${interfaceName}/disable_ipv6`, 0, record.netns.path)
  await courier.batch(pod, [
    ...(isV6 ? [] : [silence(index)]),
    links.set(index, { up: true }),
    ...record.addresses.map(({ address, prefixLength }) =>
      addresses.add({ dev: index, address: `${address}/${prefixLength}`, noDad: address.includes(':') }),
    ),
    ...record.addresses.map(({ gateway }) => routes.add({ destination: 'default', gateway, dev: index })),
  ])
  return port
}

// A link with an IPv6 address of its own announces it to all, and the bridge copies that to every pod: each pod would take
// longer to set up than the one before.
const silence = (link: number) => links.set(link, { addrGenMode: 'none' })

function explainFullBridge(error: unknown): never {
  throw codeOf(error) === 'E54' || codeOf(error) === 'EXFULL' ? bridgeFull(error) : error
}

/** Lets the bridge send a frame back to the pod it came from. */
export async function setHairpin(host: Netlink, port: number, hairpin: boolean, courier: Courier) {
  if (hairpin) await courier.run(host, links.setBridgePort(port, { hairpin }))
}

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
