import { BlockList, isIP } from 'node:net'
import type { CIDR } from '@podwire/api'

/** Tells whether an address is in one of the networks; what is no address is in none. */
export function networks(cidrs: readonly CIDR[]): (address: string) => boolean {
  const list = new BlockList()
  for (const { address, prefixLength, family } of cidrs)
    list.addSubnet(address, prefixLength, family === 6 ? 'ipv6' : 'ipv4')
  return (address) => isIP(address) !== 0 && list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}
