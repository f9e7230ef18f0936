import { errnoOf } from '@podwire/api'
import { addresses, links, type Netns, routes, withNetns, writeSysctl } from '@podwire/netlink'
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
  using inside = kernel.open(sandbox)
  const isV6 = own.some(({ address }) => address.includes(':'))
  setSysctls(interfaceName, isV6, sandbox)
  await inside.batch([
    // Without it a pod doesn't reach itself.
    links.set(LOOPBACK, { up: true }),
    ...(isV6 ? [] : [links.set(dev, withoutOwnAddress(mtu))]),
    links.set(dev, { mtu, up: true }),
    ...own.map(({ address, prefixLength }) =>
      addresses.replace({ dev, address: `${address}/${prefixLength}`, noDad: address.includes(':') }),
    ),
    ...own.map(({ gateway }) => routes.replace({ destination: 'default', gateway, dev })),
  ])
}

/**
 * A pod believes no router advertisement and no redirect, which any other pod could send: its way out is the one it is given.
 * All in one visit to the namespace, as each costs more than what is written there.
 */
function setSysctls(interfaceName: string, isV6: boolean, sandbox: Netns) {
  withNetns(sandbox, () => {
    if (hasIpv6()) {
      const conf = `net/ipv6/conf/${interfaceName}`
      // Container runtimes turn IPv6 off in namespaces that they expect to have none.
      if (isV6) writeSysctl(`${conf}/disable_ipv6`, 0)
      ignoringReadOnly(() => writeSysctl(`${conf}/accept_ra`, 0))
      ignoringReadOnly(() => writeSysctl(`${conf}/accept_redirects`, 0))
    }
  })
}

function ignoringReadOnly(act: () => void) {
  try {
    act()
  } catch (error) {
    if (!['EROFS', 'EACCES', 'EPERM', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error
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
