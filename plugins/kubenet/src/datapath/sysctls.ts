import { readdirSync } from 'node:fs'
import { readSysctl, writeSysctl } from '@podwire/netlink'
import { sysctlRefused } from '../errors.ts'

/**
 * Sets `/proc/sys/PATH` unless it has the value already; true when it had not.
 * @throws PodwireError `SYSCTL_REFUSED`: read-only, or another user namespace's
 */
export function setSysctl(path: string, value: string): boolean {
  try {
    if (readSysctl(path) === value) return false
    writeSysctl(path, value)
    return true
  } catch (error) {
    throw sysctlRefused(path, value, error)
  }
}

/** What pods need of the host's settings: each a path below /proc/sys, with its value. */
export function neededSysctls(bridge: string, families: readonly (4 | 6)[]): [path: string, value: string][] {
  const needed: [string, string][] = []
  if (families.includes(4))
    needed.push(
      ['net/ipv4/ip_forward', '1'],
      // 127.0.0.1 at a published port is sent on to the pod through the bridge.
      [`net/ipv4/conf/${bridge}/route_localnet`, '1'],
    )
  if (families.includes(6))
    needed.push(
      [`net/ipv6/conf/${bridge}/disable_ipv6`, '0'],
      // While the bridge looks for duplicates of its own link-local address it asks for no neighbour's.
      [`net/ipv6/conf/${bridge}/accept_dad`, '0'],
      ...routerAdvertisements(),
      ['net/ipv6/conf/all/forwarding', '1'],
    )
  return needed
}

// A host that forwards IPv6 no longer listens to its own router, unless it is told to listen all the same.
function routerAdvertisements(): [string, string][] {
  try {
    return readdirSync('/proc/sys/net/ipv6/conf')
      .map((link) => `net/ipv6/conf/${link}/accept_ra`)
      .filter((path) => !/\/(all|default|lo|pwi?[0-9a-f]{12})\//.test(path) && readSysctl(path) === '1')
      .map((path) => [path, '2'])
  } catch {
    return []
  }
}
