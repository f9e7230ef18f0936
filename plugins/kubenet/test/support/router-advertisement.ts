import { closeSync } from 'node:fs'
import { withNetns } from '@podwire/netlink'
import koffi from 'koffi'

const AF_INET6 = 10
const SOCK_RAW = 3
const IPPROTO_ICMPV6 = 58
const IPPROTO_IPV6 = 41
const IPV6_MULTICAST_IF = 17
const IPV6_MULTICAST_HOPS = 18

/** Sends a router advertisement to all on the link, with a prefix to take addresses of, as RFC 4861 has it. */
export function advertiseRouter(netns: string, interfaceIndex: number): void {
  const libc = koffi.load(null)
  const socket = libc.func('int socket(int, int, int)')
  const setsockopt = libc.func('int setsockopt(int, int, int, const void *, uint32_t)')
  const sendto = libc.func('intptr_t sendto(int, const void *, size_t, int, const void *, uint32_t)')
  withNetns(netns, () => {
    const fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
    const int = (value: number) => new Uint8Array(Int32Array.of(value).buffer)
    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, int(255), 4)
    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, int(interfaceIndex), 4)
    const address = Buffer.alloc(28)
    address.writeUInt16LE(AF_INET6)
    Buffer.from('ff020000000000000000000000000001', 'hex').copy(address, 8)
    address.writeUInt32LE(interfaceIndex, 24)
    const sent = sendto(fd, message, message.length, 0, address, address.length)
    closeSync(fd)
    if (sent !== message.length) throw new Error(`the router advertisement was not sent: ${koffi.errno()}`)
  })
}

const message = Buffer.concat([
  // Type 134, hop limit 64, no flags, a router for 1800 s.
  Buffer.from('86000000400007080000000000000000', 'hex'),
  // Prefix information: 2001:db8:bad::/64, on the link, for addresses of one's own, for an hour.
  Buffer.from('030440c000000e1000000e1000000000', 'hex'),
  Buffer.from('20010db80bad00000000000000000000', 'hex'),
])
