import { closeSync } from 'node:fs'
import { checked, native } from './native.ts'
import { linkName } from './socket/link-index.ts'

const AF_INET = 2
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000

// linux/sockios.h and linux/ethtool.h
const SIOCETHTOOL = 0x8946
const ETHTOOL_GTXCSUM = 0x16
const ETHTOOL_STXCSUM = 0x17

/** Whether a link of the thread's namespace leaves the checksums of what it sends to what is below it. Errors: `ENODEV`, `EOPNOTSUPP`. */
export function transmitsWithoutChecksum(link: string): boolean {
  return ask(link, ETHTOOL_GTXCSUM, 0) === 1
}

/**
 * Says whether it does; else the kernel computes them. Where packets in a tunnel are translated on their way, kernels before 5.7 get
 * them wrong otherwise. Errors: `ENODEV`, `EOPNOTSUPP`, `EPERM`.
 */
export function setTransmitsWithoutChecksum(link: string, value: boolean): void {
  ask(link, ETHTOOL_STXCSUM, value ? 1 : 0)
}

// Kernels before 5.8 take this by no netlink message.
function ask(link: string, command: number, value: number): number {
  const { socket, ioctl, addressOf } = native()
  // struct ethtool_value, to which struct ifreq points.
  const request = Buffer.alloc(8)
  request.writeUInt32LE(command, 0)
  request.writeUInt32LE(value, 4)
  const ifreq = Buffer.alloc(40)
  linkName(link).copy(ifreq)
  ifreq.writeBigUInt64LE(addressOf(request), 16)
  const fd = checked(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), `offload of link ${link}`, 'socket')
  try {
    checked(ioctl(fd, SIOCETHTOOL, ifreq), `offload of link ${link}`, 'ioctl')
    return request.readUInt32LE(4)
  } finally {
    closeSync(fd)
  }
}
