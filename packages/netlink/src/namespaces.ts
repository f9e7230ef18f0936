import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  statfsSync,
  unlinkSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { removeIfThere } from '@podwire/api/files'
import { errors, fileFailed, type NetlinkError } from './errors.ts'
import { checked, native } from './native.ts'

const CLONE_NEWNET = 0x40000000
const MS_BIND = 0x1000
const MS_REC = 0x4000
const MS_SHARED = 0x100000
const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8
const LOCK_EX = 2
const NS_GET_NSTYPE = 0xb703
const NSFS_MAGIC = 0x6e736673
const EINVAL = 22

/** Where `ip netns` keeps its namespaces. */
export const NETNS_DIR = '/run/netns'

/** Two paths lead to the same namespace exactly when both numbers agree. */
export interface NetnsId {
  dev: number
  ino: number
}

export interface NamedNetns {
  name: string
  path: string
}

/** The path of a named namespace, as `ip netns` knows it: `/run/netns/NAME`. */
export function namedNetns(name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name) || Buffer.byteLength(name) > 255)
    throw errors.ERR_NETNS_NAME({ name })
  return join(NETNS_DIR, name)
}

/** A network namespace by path, or by an open descriptor, which stays the caller's. */
export type Netns = string | number

/**
 * Runs `fn` inside a network namespace and comes back, all in one synchronous turn. What `fn` opens or
 * spawns (a socket, a child process) stays in that namespace afterwards: `withNetns(path, () => spawn('curl', …))`.
 *
 * `fn` must not be asynchronous, nor start what goes on later: Node's `connect()` and `listen(port, host)` make their
 * sockets in a later turn and so outside; `listen(port)`, `spawn` and synchronous file access act at once. Errors: `ENOENT`, `ERR_NOT_NETNS`, `EPERM`, `ERR_NETNS_ASYNC`, and whatever `fn` throws.
 * If the way back fails, which takes a `fn` that gave up CAP_SYS_ADMIN, the process aborts: nothing it did from
 * then on would happen where it believes to be.
 */
export function withNetns<T>(netns: Netns, fn: () => T): T {
  const target = typeof netns === 'number' ? netns : openNetns(netns)
  try {
    const result = inNetns(() => checked(native().setns(target, CLONE_NEWNET), `enter ${netns}`, 'setns'), fn)
    if (isThenable(result)) {
      result.then(undefined, () => {})
      throw errors.ERR_NETNS_ASYNC({ path: String(netns) })
    }
    return result
  } finally {
    if (target !== netns) closeSync(target)
  }
}

/** The same for the namespace that a socket is in. */
export function inNetnsOf<T>(socket: number, fn: () => T): T {
  const SIOCGSKNS = 0x894c
  const fd = checked(
    native().ioctl(socket, SIOCGSKNS, null),
    "open the socket's namespace",
    'ioctl(SIOCGSKNS)',
  )
  try {
    return withNetns(fd, fn)
  } finally {
    closeSync(fd)
  }
}

/**
 * Makes a network namespace with `lo` up, and keeps it alive at `path` by a bind mount until `removeNetns(path)`.
 * Directories above are made where missing. Under `/run/netns` it is also `ip netns`'s.
 * Errors: `EEXIST`, `EPERM`; after a failure nothing is left behind.
 */
export function createNetns(path: string): void {
  const operation = `create network namespace ${path}`
  makeDirectory(dirname(path), operation)
  try {
    closeSync(openSync(path, 'wx', 0o444))
  } catch (error) {
    throw fileFailed(operation, path, error)
  }
  try {
    inNetns(
      () => checked(native().unshare(CLONE_NEWNET), operation, 'unshare', path),
      () => {
        setLoopbackUp(operation)
        checked(
          native().mount('/proc/thread-self/ns/net', path, 'none', MS_BIND, null),
          operation,
          'mount',
          path,
        )
      },
    )
  } catch (error) {
    removeIfThere(path)
    throw error
  }
}

/**
 * Lets go of the namespace at `path` and removes the file. The kernel frees the namespace when its last process and
 * socket are gone. Nothing there is success. Errors: `ERR_NOT_NETNS` for a path that holds something else, `EPERM`.
 */
export function removeNetns(path: string): void {
  const operation = `remove network namespace ${path}`
  const file = lstatSync(path, { throwIfNoEntry: false })
  if (!file) return
  // An empty file is what a creation that was killed half-way leaves, or a mount made in another mount namespace.
  const isLeftOver = file.isFile() && file.size === 0
  if (!isNetns(path) && !isLeftOver) throw errors.ERR_NOT_NETNS({ path })
  const { umount2, errno } = native()
  while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) === 0);
  if (errno() !== EINVAL) checked(-1, operation, 'umount2', path)
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fileFailed(operation, path, error)
  }
}

/** The network namespaces kept in a directory, by name. A directory that isn't there holds none. */
export function listNetns(dir: string = NETNS_DIR): NamedNetns[] {
  try {
    return readdirSync(dir)
      .sort()
      .map((name) => ({ name, path: join(dir, name) }))
      .filter(({ path }) => isNetns(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw fileFailed(`list network namespaces in ${dir}`, dir, error)
  }
}

/** Whether `path` is a network namespace now. */
export function isNetns(path: string): boolean {
  try {
    closeSync(openNetns(path))
    return true
  } catch (error) {
    const { code } = error as NetlinkError
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ERR_NOT_NETNS') return false
    throw error
  }
}

/** Which namespace this is. Errors: `ENOENT`, `ERR_NOT_NETNS`. */
export function netnsId(netns: Netns): NetnsId {
  const fd = typeof netns === 'number' ? netns : openNetns(netns)
  try {
    const { dev, ino } = fstatSync(fd)
    return { dev, ino }
  } finally {
    if (fd !== netns) closeSync(fd)
  }
}

/** A descriptor of the namespace at `path`, the caller's to close. */
export function openNetns(path: string): number {
  const operation = `open network namespace ${path}`
  let fd: number
  try {
    // Asked first because opening a device or a pipe may do something.
    if (statfsSync(path).type !== NSFS_MAGIC) throw errors.ERR_NOT_NETNS({ path })
    fd = openSync(path, 'r')
  } catch (error) {
    if ((error as NetlinkError).code === 'ERR_NOT_NETNS') throw error
    throw fileFailed(operation, path, error)
  }
  if (native().ioctl(fd, NS_GET_NSTYPE, null) === CLONE_NEWNET) return fd
  closeSync(fd)
  throw errors.ERR_NOT_NETNS({ path })
}

function inNetns<T>(enter: () => void, fn: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    enter()
    try {
      return fn()
    } finally {
      if (native().setns(home, CLONE_NEWNET) === -1) abort()
    }
  } finally {
    closeSync(home)
  }
}

function abort(): never {
  process.stderr.write(`fatal: setns back to the own network namespace failed, errno ${native().errno()}\n`)
  process.abort()
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}

function makeDirectory(dir: string, operation: string) {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o755 })
  } catch (error) {
    throw fileFailed(operation, dir, error)
  }
  if (resolve(dir) === NETNS_DIR || resolve(dir) === '/var/run/netns') shareMounts(dir, operation)
}

// As `ip netns` does: the directory is a mount of its own that propagates, so that a namespace made or deleted in one
// mount namespace is made or deleted in the others. The lock is iproute2's too: two at once would mount it twice.
function shareMounts(dir: string, operation: string) {
  const { mount, flock, errno } = native()
  const lock = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    checked(flock(lock, LOCK_EX), operation, 'flock', dir)
    if (mount('none', dir, null, MS_SHARED | MS_REC, null) === 0) return
    if (errno() !== EINVAL) checked(-1, operation, 'mount', dir)
    checked(mount(dir, dir, 'none', MS_BIND | MS_REC, null), operation, 'mount', dir)
    checked(mount('none', dir, null, MS_SHARED | MS_REC, null), operation, 'mount', dir)
  } finally {
    closeSync(lock)
  }
}

// An ioctl and not netlink: namespaces are the lower layer, and this is one 40-byte struct ifreq.
function setLoopbackUp(operation: string) {
  const AF_INET = 2
  const SOCK_DGRAM_CLOEXEC = 0x80002
  const SIOCSIFFLAGS = 0x8914
  const IFF_UP = 1
  const ifreq = Buffer.alloc(40)
  ifreq.write('lo')
  ifreq.writeInt16LE(IFF_UP, 16)
  const socket = checked(native().socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0), operation, 'socket')
  try {
    checked(native().ioctl(socket, SIOCSIFFLAGS, ifreq), operation, 'ioctl(SIOCSIFFLAGS)')
  } finally {
    closeSync(socket)
  }
}
