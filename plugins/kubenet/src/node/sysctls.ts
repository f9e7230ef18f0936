import { readdirSync } from 'node:fs'
import { readSysctl } from '@podwire/netlink'
import type { Sysctl } from '../kernel/sysctls.ts'
import { isPodLinkName } from '../ownership/pod-links.ts'

/** What forwarding for pods of these families needs of the host. */
export function forwardingSysctls(families: ReadonlySet<4 | 6>): Sysctl[] {
  const needed: Sysctl[] = []
  if (families.has(4)) needed.push(['net/ipv4/ip_forward', '1'])
  if (families.has(6)) needed.push(...routerAdvertisements(), ['net/ipv6/conf/all/forwarding', '1'])
  return needed
}

// A host that forwards IPv6 no longer listens to its own router, unless it is told to listen all the same. Links that don't
// listen go on so, and those that lead to pods never listen: a pod is not a router.
function routerAdvertisements(): Sysctl[] {
  try {
    return readdirSync('/proc/sys/net/ipv6/conf')
      .filter((link) => !['all', 'default', 'lo'].includes(link) && !isPodLinkName(link))
      .map((link) => `net/ipv6/conf/${link}/accept_ra`)
      .filter((path) => readSysctl(path) === '1')
      .map((path) => [path, '2'])
  } catch {
    return []
  }
}
