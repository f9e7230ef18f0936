import { readdirSync } from 'node:fs'
import { readSysctl } from '@podwire/netlink'
import type { Sysctl } from '../kernel/sysctls.ts'
import { isPodLinkName } from '../ownership/pod-links.ts'

/** What makes the host forward for pods of these families. */
export function forwardingSysctls(families: ReadonlySet<4 | 6>): Sysctl[] {
  return [
    ...(families.has(4) ? ([['net/ipv4/ip_forward', '1']] as const) : []),
    ...(families.has(6) ? ([['net/ipv6/conf/all/forwarding', '1']] as const) : []),
  ]
}

// A host that forwards IPv6 no longer listens to its own router, unless it is told to listen all the same. Links that don't
// listen go on so, and those that lead to pods never listen: a pod is not a router.
export function routerAdvertisements(families: ReadonlySet<4 | 6>): Sysctl[] {
  if (!families.has(6)) return []
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
