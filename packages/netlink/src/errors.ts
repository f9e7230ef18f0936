import type { Acknowledgement } from './wire/message.ts'
import { errnoName } from './errno.ts'

/**
 * Every error of this package. `code` is stable: a kernel's refusal carries the errno's name (`EEXIST`, `EPERM`),
 * what this package finds itself begins with `ERR_`. Compare `code`, not the class.
 */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError'
  readonly code: string
  /** What the message was made of: `errno`, `syscall`, `path`, `operation`, `kernelText`, `offset` … where known. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: string, message: string, details: Record<string, unknown> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
  }
}

/** The C library could not be reached: another platform, or koffi's native part is not installed. */
export const unavailable = (cause: unknown) =>
  new NetlinkError(
    'ERR_NETLINK_UNAVAILABLE',
    `netlink needs Linux on x64 or arm64 (glibc or musl) and koffi's native part; this is ${process.platform} ${process.arch}. ` +
      'Install without --omit=optional, on a machine of that kind',
    { platform: process.platform, arch: process.arch },
    cause,
  )

const hints: Record<string, string> = {
  EPERM: 'it takes CAP_SYS_ADMIN: run as root, or inside a user namespace (unshare -rnm)',
}

/** A system call failed. */
export function systemCallFailed(operation: string, syscall: string, errno: number, path?: string) {
  const code = errnoName(errno)
  const hint = hints[code] ? `; ${hints[code]}` : ''
  return new NetlinkError(code, `${operation}: ${syscall} failed with ${code}${hint}`, {
    operation,
    syscall,
    errno,
    ...(path === undefined ? {} : { path }),
  })
}

/** A file could not be opened, made or removed: Node's own error, in this package's words. */
export function fileFailed(operation: string, path: string, cause: unknown) {
  const { code, errno, syscall } = cause as NodeJS.ErrnoException // node:fs throws nothing else
  const reason =
    code === 'ENOENT'
      ? 'there is no such file'
      : code === 'EEXIST'
        ? 'it exists already'
        : `${syscall} failed`
  return new NetlinkError(
    code ?? 'EIO',
    `${operation}: ${reason} (${code})`,
    { operation, path, syscall, errno: errno === undefined ? undefined : -errno },
    cause,
  )
}

/** The path is there but is something else than a network namespace. */
export const notNetns = (path: string) =>
  new NetlinkError(
    'ERR_NOT_NETNS',
    `${path} is not a network namespace; give a path such as /run/netns/NAME or /proc/PID/ns/net`,
    { path },
  )

/** A name that can't be a file's name in /run/netns. */
export const badNetnsName = (name: string) =>
  new NetlinkError(
    'ERR_NETNS_NAME',
    `${JSON.stringify(name)} can't name a network namespace; use 1 to 255 bytes without "/", and neither "." nor ".."`,
    { name },
  )

/** The function given to withNetns went on after it returned. */
export const asyncInNetns = (path: string) =>
  new NetlinkError(
    'ERR_NETNS_ASYNC',
    `withNetns(${path}) got a promise; what runs after the first await is in another namespace. Do synchronous work ` +
      'only, such as opening a socket or spawning a process, and await outside',
    { path },
  )

/** The kernel refused a request. */
export function refused(
  operation: string,
  acknowledgement: Acknowledgement,
  sequence?: [position: number, of: number],
) {
  const { errno, text, offset } = acknowledgement
  const code = errnoName(errno)
  const reason = text ?? kernelReasons[code] ?? 'the kernel refused'
  const place = sequence && sequence[1] > 1 ? ` (request ${sequence[0] + 1} of ${sequence[1]})` : ''
  return new NetlinkError(code, `${operation}${place}: ${reason} (${code})`, {
    operation,
    errno,
    ...(text === undefined ? {} : { kernelText: text }),
    ...(offset === undefined ? {} : { offset }),
    ...(sequence ? { request: sequence[0] } : {}),
  })
}

const kernelReasons: Record<string, string> = {
  EPERM: 'it takes CAP_NET_ADMIN in the namespace',
  EOPNOTSUPP: "the kernel or the device doesn't offer this",
  EEXIST: 'it is there already',
  ENODEV: 'there is no such link',
  ENOENT: 'it is not there',
  ENOBUFS: 'more was sent than the socket could hold',
}

/** Several requests of one batch failed; the first decides `code`, all are in `details.failures`. */
export const batchRefused = (failures: NetlinkError[]) => {
  const [first] = failures as [NetlinkError]
  if (failures.length === 1) return first
  return new NetlinkError(
    first.code,
    `${first.message}; ${failures.length - 1} more requests of the batch failed`,
    { ...first.details, failures },
    first,
  )
}

/** Bytes that aren't the netlink messages they should be. */
export const malformed = (what: string) =>
  new NetlinkError('ERR_NETLINK_MALFORMED', `netlink message can't be read: ${what}`, { what })

/** The kernel took the request but the answer, or its end, is missing. */
export const noReply = (operation: string) =>
  new NetlinkError('ERR_NETLINK_NO_REPLY', `${operation}: the kernel gave no answer`, { operation })

/** The tables changed under every attempt to read them. */
export const interrupted = (operation: string, attempts: number) =>
  new NetlinkError(
    'ERR_NETLINK_INTERRUPTED',
    `${operation}: the table changed while it was read, ${attempts} times in a row; try again when it is quieter`,
    { operation, attempts },
  )

/** The socket was closed before or while it was used. */
export const closed = (operation: string) =>
  new NetlinkError('ERR_NETLINK_CLOSED', `${operation}: the netlink socket is closed; open another`, {
    operation,
  })

/** A request made for another netlink protocol than the socket's. */
export const wrongProtocol = (operation: string, expected: number, actual: number) =>
  new NetlinkError(
    'ERR_NETLINK_PROTOCOL',
    `${operation}: it is for netlink protocol ${expected}, the socket speaks ${actual}; open one with openNetlink({ protocol: ${expected} })`,
    { operation, expected, actual },
  )

/** An argument that can't be right. */
export const invalid = (what: string, value: unknown, expected: string) =>
  new NetlinkError('ERR_NETLINK_ARGUMENT', `${JSON.stringify(value)} is no ${what}; expected ${expected}`, {
    what,
    value,
    expected,
  })

/** A monitor fell behind, and the kernel threw notifications away. */
export const overrun = () =>
  new NetlinkError(
    'ENOBUFS',
    'watch network: more happened than was read, and some of it is lost; list what you need again and watch anew (ENOBUFS)',
    { operation: 'watch network', errno: 105 },
  )
