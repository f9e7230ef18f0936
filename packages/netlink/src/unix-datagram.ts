import { closeSync } from 'node:fs'
import { errors } from './errors.ts'
import { checked, native } from './native.ts'

const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000

/** What the kernel takes of a path, with the zero at its end. */
const longestPath = 108

/**
 * Sends one datagram to a Unix socket, which Node has no socket for, without waiting.
 * @param path of a socket; `@` in front: an abstract one
 * Errors: `ERR_NETLINK_ARGUMENT`, `ENOENT`, `ECONNREFUSED`, `EAGAIN` where the receiver's queue is full.
 */
export function sendUnixDatagram(path: string, text: string): void {
  const { socket, sendto } = native()
  const to = addressOf(path)
  const bytes = Buffer.from(text)
  const fd = checked(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'a Unix socket', 'socket')
  try {
    const sent = sendto(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, to, to.length)
    checked(sent, 'a datagram to a Unix socket', 'sendto', path)
  } finally {
    closeSync(fd)
  }
}

function addressOf(path: string): Buffer {
  const isAbstract = path.startsWith('@')
  const name = Buffer.from(isAbstract ? `\0${path.slice(1)}` : `${path}\0`)
  if (name.length > longestPath || path === '' || path.includes('\0'))
    throw errors.ERR_NETLINK_ARGUMENT({
      what: 'path of a Unix socket',
      value: path,
      expected: 'at most 107 bytes',
    })
  // In the byte order of the machines that this package runs on.
  return Buffer.concat([Buffer.from([AF_UNIX, 0]), name])
}
