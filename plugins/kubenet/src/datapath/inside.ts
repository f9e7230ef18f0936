import { errnoOf } from '@podwire/api'
import { addresses, links, routes, writeSysctl } from '@podwire/netlink'
import { hasIpv6, withoutOwnAddress } from '../kernel/ipv6.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { PodLink } from './datapath.ts'

const LOOPBACK = 1

/**
 * Brings up what is inside the sandbox, with the pod's addresses and the way out; what is there already stays.
 * @param dev index of the pod's interface
 */
export async function configureInside(kernel: Kernel, pod: PodLink, sandbox: number, dev: number) {
  const { interfaceName, mtu, addresses: own } = pod
  const isV6 = own.some(({ address }) => address.includes(':'))
  let isOff = false
  // In the same visit to the namespace, as each takes time.
  using inside = kernel.open(sandbox, () => {
    if (isV6) listenToNobody(interfaceName)
    else isOff = turnOffIpv6(interfaceName)
  })
  await inside.batch([
    // Without it a pod doesn't reach itself.
    links.set(LOOPBACK, { up: true }),
    ...(isV6 || isOff ? [] : [links.set(dev, withoutOwnAddress(mtu))]),
    links.set(dev, { mtu, up: true }),
    ...own.map(({ address, prefixLength }) =>
      addresses.replace({ dev, address: `${address}/${prefixLength}`, noDad: address.includes(':') }),
    ),
    ...own.map(({ gateway }) => routes.replace({ destination: 'default', gateway, dev })),
  ])
}

/**
 * Any pod on the wire could send router advertisements and redirects, and lead this one's traffic through itself: its way out is
 * the one that it is given.
 */
function listenToNobody(interfaceName: string) {
  const conf = `net/ipv6/conf/${interfaceName}`
  // Container runtimes turn IPv6 off in namespaces that they expect to have none.
  writeSysctl(`${conf}/disable_ipv6`, 0)
  writeSysctl(`${conf}/accept_ra`, 0)
  writeSysctl(`${conf}/accept_redirects`, 0)
}

/** The same of a pod without IPv6 addresses, in one step. False where the kernel refuses it, or has no IPv6. */
function turnOffIpv6(interfaceName: string): boolean {
  if (!hasIpv6()) return false
  try {
    writeSysctl(`net/ipv6/conf/${interfaceName}/disable_ipv6`, 1)
    return true
  } catch (error) {
    if (!['EROFS', 'EACCES', 'EPERM', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error
    return false
  }
}

/** What differs inside the sandbox, each in a phrase. */
export async function insideDifferences(kernel: Kernel, pod: PodLink): Promise<string[]> {
  const { netns, interfaceName, mtu, addresses: expected } = pod
  using inside = kernel.open(netns.path)
  const own = await inside.findLink(interfaceName)
  if (!own) return [`${interfaceName} is gone`]
  const differences: string[] = []
  if (!own.up) differences.push(`${interfaceName} is down`)
  if (own.mtu !== mtu) differences.push(`the MTU of ${interfaceName} is ${own.mtu}, not ${mtu}`)
  const there = await inside.run(addresses.list({ dev: own.index }))
  const ways = await inside.run(routes.list({ dev: own.index }))
  for (const { address, prefixLength, gateway } of expected) {
    const full = `${address}/${prefixLength}`
    if (!there.some((found) => found.address === full)) differences.push(`${interfaceName} lacks ${full}`)
    const hasWay = ways.some((way) => way.destination === 'default' && way.gateway === gateway)
    if (!hasWay) differences.push(`the default route via ${gateway} is gone`)
  }
  return differences
}
