import { errnoOf } from '@podwire/api'
import { writeSysctl } from '@podwire/netlink'
import { formatCidr, parseCidr } from '../../ipam/cidr.ts'
import { hasIpv6, withoutOwnAddress } from '../../kernel/ipv6.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import type { PodLink } from '../datapath.ts'
import { bringUpInside, type Inside } from '../inside.ts'

/** All of the network is on the link. */
export const insideOf = ({ addresses }: PodLink): Inside => ({
  addresses: addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
  gateways: addresses.map(({ gateway }) => gateway),
  networks: addresses.flatMap(({ address, prefixLength }) => {
    const network = parseCidr(`${address}/${prefixLength}`)
    return network ? [formatCidr(network)] : []
  }),
})

/**
 * Brings up what is inside the sandbox.
 * @param dev index of the pod's interface
 */
export async function configureInside(kernel: Kernel, pod: PodLink, sandbox: number, dev: number) {
  const { interfaceName, mtu, addresses } = pod
  const isV6 = addresses.some(({ address }) => address.includes(':'))
  let isOff = false
  // In the same visit to the namespace, as each takes time.
  using inside = kernel.open(sandbox, () => {
    // All interfaces of the sandbox hear the question, and who asks would believe the last answer.
    if (pod.isFurther) writeSysctl(`net/ipv4/conf/${interfaceName}/arp_ignore`, 1)
    if (isV6) listenToNobody(interfaceName)
    else isOff = turnOffIpv6(interfaceName)
  })
  await bringUpInside(inside, pod, dev, insideOf(pod), isV6 || isOff ? {} : withoutOwnAddress(mtu))
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
