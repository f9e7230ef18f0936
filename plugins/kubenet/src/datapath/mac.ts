import { encodeIp } from '@podwire/netlink/transport'

const prefix = '0a:58:'

/** A MAC address that follows from the IP address: a neighbour that knew the address's last owner still finds it. */
export const macFor = (address: string) => prefix + lastBytes(address)

/** That of the host's end of a pod's link: the same when the link is made anew. */
export const hostMac = ({ addresses }: { addresses: readonly { address: string }[] }) =>
  `0a:59:${lastBytes(addresses[0]?.address ?? '0.0.0.0')}`

const lastBytes = (address: string) =>
  encodeIp(address)
    .subarray(-4)
    .toString('hex')
    .replace(/(..)(?=.)/g, '$1:')

/** The MAC address of a pod's interface: the one that it asked for, or that of its primary address. */
export const podMac = ({ mac, addresses }: { mac?: string; addresses: readonly { address: string }[] }) =>
  mac ?? macFor(addresses[0]?.address ?? '0.0.0.0')

/** Whether an interface can have this address: six bytes, of one interface and not of a group, and not all zero. */
export const isUsableMac = (mac: string) =>
  /^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/.test(mac) && mac !== '00:00:00:00:00:00'

export const isPodMac = (mac: string) => mac.startsWith(prefix)
