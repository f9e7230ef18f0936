import { closeSync } from 'node:fs'
import { errors } from '../errors.ts'
import { inNetnsOf } from '../namespaces.ts'
import { checked, native } from '../native.ts'
import { u32 } from '../wire/bytes.ts'
import { decodeMessages, type Message } from '../wire/message.ts'

const AF_NETLINK = 16
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0x800 | 0x80000
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12
const MSG_TRUNC = 0x20
const EINTR = 4
const EAGAIN = 11

const bufferBytes = u32(4 << 20)
const on = u32(1)

// One for all sockets: it is filled and copied out within one synchronous turn. The kernel fills at most 32 KiB
// at a time when it dumps; only a link with hundreds of virtual functions needs more.
const scratch = Buffer.allocUnsafeSlow(256 << 10)
const from = Buffer.alloc(12)
const fromLength = new Uint32Array(1)

/** Opens a socket in the namespace the thread is in now. Non-blocking: see `receive`. */
export function openSocket(protocol: number): number {
  const { socket, setsockopt } = native()
  const operation = 'open netlink socket'
  const fd = checked(socket(AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, protocol), operation, 'socket')
  const set = (level: number, name: number, value: Uint8Array) => setsockopt(fd, level, name, value, 4)
  // Beyond the system's limit where that is allowed, else as far as it goes.
  if (set(SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes) === -1) set(SOL_SOCKET, SO_RCVBUF, bufferBytes)
  if (set(SOL_SOCKET, SO_SNDBUFFORCE, bufferBytes) === -1) set(SOL_SOCKET, SO_SNDBUF, bufferBytes)
  // Kernels that lack one of these still answer, with fewer words.
  for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK])
    set(SOL_NETLINK, option, on)
  return fd
}

/** Lets a socket take a datagram of this size, where that is allowed: whole tables go to the kernel in one. */
export function makeRoomFor(fd: number, bytes: number): void {
  native().setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, u32(bytes), 4)
}

/** Opens a socket of the same protocol in the namespace of another one, wherever the thread is. */
export const openSocketBeside = (fd: number, protocol: number) => inNetnsOf(fd, () => openSocket(protocol))

/** Makes a socket hear what happens; one that has no port of its own hears nothing, hence the bind. */
export function joinGroups(fd: number, groups: readonly number[]): void {
  const operation = 'join netlink groups'
  const anyPort = Buffer.alloc(12)
  anyPort.writeUInt16LE(AF_NETLINK)
  checked(native().bind(fd, anyPort, anyPort.length), operation, 'bind')
  for (const group of groups) {
    const value = new Uint8Array(Int32Array.of(group).buffer)
    checked(native().setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, value, 4), operation, 'setsockopt')
  }
}

/**
 * One datagram's messages, or undefined when none is waiting. The kernel works on a request, and queues the answer,
 * before `send` returns; so nothing that is going to come is ever missing here, and waiting is never needed.
 */
export function receive(fd: number): Message[] | undefined {
  for (;;) {
    fromLength[0] = from.length
    const length = native().recvfrom(fd, scratch, scratch.length, MSG_TRUNC, from, fromLength)
    if (length > scratch.length)
      throw errors.ERR_NETLINK_MALFORMED({
        what: `datagram of ${length} bytes is longer than ${scratch.length}`,
      })
    // Port 0 is the kernel; another process may write to this socket too, and is not listened to.
    if (length >= 0 && from.readUInt32LE(4) === 0)
      return decodeMessages(Buffer.from(scratch.subarray(0, length)))
    if (length >= 0) continue
    const errno = native().errno()
    if (errno === EAGAIN) return undefined
    if (errno !== EINTR)
      throw errors.systemCallFailed({ operation: 'read from netlink socket', syscall: 'recvfrom', errno })
  }
}

export const closeSocket = closeSync
