import { encodeIp } from '@podwire/netlink/transport'

const prefix = '0a:58:'

/** A MAC address that follows from the IP address: a neighbour that knew the address's last owner still finds it. */
export function macFor(address: string): string {
  const bytes = encodeIp(address).subarray(-4).toString('hex')
  return `${prefix}${bytes.replace(/(..)(?=.)/g, '$1:')}`
}

export const isPodMac = (mac: string) => mac.startsWith(prefix)
