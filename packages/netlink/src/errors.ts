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
