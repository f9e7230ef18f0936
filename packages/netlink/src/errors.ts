import { defineErrors, describeValue, PodwireError, type PodwireErrorInit } from '@podwire/api'
import { errnoName } from './errno.ts'

/**
 * Every error of this package. `code` is stable: what the kernel refuses carries the errno's name (`EEXIST`, `EPERM`),
 * what this package finds itself begins with `ERR_`. `details` holds what the message is made of: `operation`, `errno`,
 * `syscall`, `path`, `kernelText`, `offset` … where known. Compare `code`, not the class.
 */
export class NetlinkError extends PodwireError {
  constructor(init: PodwireErrorInit) {
    super(init)
    this.name = 'NetlinkError'
  }
}

interface Refusal {
  readonly operation: string
  /** Its name is the error's code. */
  readonly errno: number
  /** The kernel's own words. */
  readonly kernelText?: string
  /** Where in the request the offending attribute begins, in bytes from the header. */
  readonly offset?: number
  /** The request's position in a batch, from 0, and how many requests the batch has. */
  readonly request?: number
  readonly requests?: number
}

const table = {
  ERR_NETLINK_UNAVAILABLE: {
    message: ({ platform, arch }: { platform: string; arch: string }) =>
      `netlink needs Linux on x64 or arm64 (glibc or musl) and koffi's native part; this is ${platform} ${arch}`,
    remedy: 'Install without --omit=optional, on a machine of that kind',
  },
  ERR_NETLINK_ARGUMENT: {
    message: ({ what, value, expected }: { what: string; value: unknown; expected: string }) =>
      `${describeValue(value)} is not a valid ${what}; expected ${expected}`,
    exitCode: 2,
  },
  ERR_NETLINK_CLOSED: {
    message: ({ operation }: { operation: string }) =>
      `${operation}: the netlink socket is closed; open another`,
  },
  ERR_NETLINK_PROTOCOL: {
    message: ({ operation, expected, actual }: { operation: string; expected: number; actual: number }) =>
      `${operation}: it is for netlink protocol ${expected}, but the socket speaks ${actual}; ` +
      `open one with openNetlink({ protocol: ${expected} })`,
  },
  ERR_NETLINK_INTERRUPTED: {
    message: ({ operation, attempts }: { operation: string; attempts: number }) =>
      `${operation}: the table changed while it was read, ${attempts} times in a row; try again later`,
  },
  ERR_NETLINK_MALFORMED: {
    message: ({ what }: { what: string }) => `netlink message can't be read: ${what}`,
  },
  ERR_NETLINK_NO_REPLY: {
    message: ({ operation }: { operation: string }) => `${operation}: the kernel gave no answer`,
  },
  ERR_NOT_NETNS: {
    message: ({ path }: { path: string }) =>
      `${path} is not a network namespace; give a path such as /run/netns/NAME or /proc/PID/ns/net`,
  },
  ERR_NETNS_NAME: {
    message: ({ name }: { name: string }) =>
      `${JSON.stringify(name)} can't name a network namespace; use 1 to 255 bytes without "/", and neither "." nor ".."`,
    exitCode: 2,
  },
  ERR_NETNS_ASYNC: {
    message: ({ path }: { path: string }) =>
      `withNetns(${path}) got a promise; what runs after the first await is in another namespace`,
    remedy:
      'Do synchronous work only, such as opening a socket or spawning a process, and await the rest outside',
  },
  // The code of those below is the name of their errno.
  systemCallFailed: {
    message: ({ operation, syscall, errno }: SystemCall) => {
      const code = errnoName(errno)
      const hint =
        code === 'EPERM'
          ? '; it takes CAP_SYS_ADMIN: run as root, or inside a user namespace (unshare -rnm)'
          : ''
      return `${operation}: ${syscall} failed with ${code}${hint}`
    },
  },
  fileFailed: {
    message: ({ operation, syscall, errno }: SystemCall) =>
      `${operation}: ${fileReasons[errnoName(errno)] ?? `${syscall} failed`} (${errnoName(errno)})`,
  },
  refused: {
    message({ operation, errno, kernelText, request = 0, requests = 1 }: Refusal) {
      const code = errnoName(errno)
      const place = requests > 1 ? ` (request ${request + 1} of ${requests})` : ''
      const reason = kernelText ?? kernelReasons[code] ?? 'the kernel refused'
      return `${operation}${place}: ${reason} (${code})`
    },
  },
  /** Several requests of one batch were refused: the first, which is the cause, with all of them. */
  batchRefused: {
    message: ({ failures }: { errno: number; failures: readonly NetlinkError[] }, first: unknown) =>
      // The cause is always the first of the failures.
      `${(first as NetlinkError).message}; ${failures.length - 1} more requests of the batch failed`,
  },
  nflogRefused: {
    message: ({ operation }: { operation: string; errno: number }) =>
      `${operation}: another socket listens to it already, or CAP_NET_ADMIN is missing (EPERM)`,
  },
  overrun: {
    message: ({ operation }: { operation: string; errno: number }) =>
      `${operation}: more happened than was read, and some of it is lost; list what you need again and watch anew (ENOBUFS)`,
  },
} as const

interface SystemCall {
  readonly operation: string
  readonly syscall: string
  readonly errno: number
  readonly path?: string | undefined
}

const fileReasons: Record<string, string> = {
  ENOENT: 'the file does not exist',
  EEXIST: 'it exists already',
}

const kernelReasons: Record<string, string> = {
  EPERM: 'it takes CAP_NET_ADMIN in the namespace',
  EOPNOTSUPP: "the kernel or the device doesn't offer this",
  EEXIST: 'it exists already',
  EBUSY: 'it is in use',
  ENODEV: 'there is no such link',
  ENOENT: 'it does not exist',
  ENOBUFS: 'more was sent than the socket could hold',
  ERESTART: 'the ruleset is not of the generation that was expected: read it again',
}

/** One function for each error of this package. */
export const errors = defineErrors(table, (init) => {
  const errno = init.details?.errno
  return new NetlinkError(typeof errno === 'number' ? { ...init, code: errnoName(errno) } : init)
})

/** What node:fs threw, in this package's words. */
export function fileFailed(operation: string, path: string, cause: unknown): NetlinkError {
  const { errno = -5, syscall = 'access' } = cause as NodeJS.ErrnoException // node:fs throws nothing else
  return errors.fileFailed({ operation, path, syscall, errno: -errno }, cause)
}
