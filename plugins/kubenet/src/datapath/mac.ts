import { encodeIp } from '@podwire/netlink/transport'

const prefix = '0a:58:'

/** A MAC address that follows from the IP address: a neighbour that knew the address's last owner still finds it. */
export function macFor(address: string): string {
  const bytes = encodeIp(address).subarray(-4).toString('hex')
  return `${prefix}${bytes.replace(/(..)(?=.)/g, '$1:')}`
}

/** The MAC address of a pod's interface: the one that it asked for, or that of its primary address. */
export const podMac = ({ mac, addresses }: { mac?: string; addresses: readonly { address: string }[] }) =>
  mac ?? macFor(addresses[0]?.address ?? '0.0.0.0')

/** Whether an interface can have this address: six bytes, of one interface and not of a group, and not all zero. */
export const isUsableMac = (mac: string) =>
  /^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/.test(mac) && mac !== '00:00:00:00:00:00'

export const isPodMac = (mac: string) => mac.startsWith(prefix)
