import { existsSync } from 'node:fs'

/** In bytes: a link with less has no IPv6. */
export const IPV6_LEAST_MTU = 1280

let isPresent: boolean | undefined

/** Whether this kernel has IPv6 at all. */
export function hasIpv6(): boolean {
  isPresent ??= existsSync('/proc/sys/net/ipv6')
  return isPresent
}

/**
 * Link settings that keep a link from giving itself an IPv6 address: it would announce that to all, and the bridge copies it to
 * every pod, so that each pod would take longer to set up than the one before. Nothing where there is no IPv6, as the kernel
 * refuses it there.
 */
export function withoutOwnAddress(mtu: number): { addrGenMode?: 'none' } {
  return hasIpv6() && mtu >= IPV6_LEAST_MTU ? { addrGenMode: 'none' } : {}
}
