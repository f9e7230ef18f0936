import { stat } from 'node:fs'
import { createRequire } from 'node:module'
import { errors } from './errors.ts'

/** What this package calls in the C library. Each returns -1 on failure and leaves the reason in `errno()`. */
export interface Native {
  unshare(flags: number): number
  setns(fd: number, type: number): number
  mount(
    source: string | null,
    target: string,
    type: string | null,
    flags: number,
    options: string | null,
  ): number
  umount2(target: string, flags: number): number
  flock(fd: number, operation: number): number
  prctl(option: number, two: number, three: number, four: number, five: number): number
  setrlimit(resource: number, limit: BigUint64Array): number
  ioctl(fd: number, request: number, argument: Uint8Array | null): number
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: Uint8Array, length: number): number
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number
  sendto(
    fd: number,
    bytes: Uint8Array,
    length: number,
    flags: number,
    to: Uint8Array,
    toLength: number,
  ): number
  send(fd: number, bytes: Uint8Array, length: number, flags: number): number
  /** The same on libuv's thread pool. A failure's reason does not come back from there. */
  sendAsync(fd: number, bytes: Uint8Array, length: number, flags: number): Promise<number>
  recvfrom(
    fd: number,
    bytes: Uint8Array,
    length: number,
    flags: number,
    from: Uint8Array,
    fromLength: Uint32Array,
  ): number
  /** Calls back whenever the descriptor is readable, until stopped. Keeps the process alive meanwhile, unless it is let go of. */
  whenReadable(fd: number, callback: () => void): Readiness
  /** Where bytes are in memory, for as long as somebody holds them. */
  addressOf(bytes: Uint8Array): bigint
  errno(): number
}

/** Calls back while there is something to read. */
interface Readiness {
  stop(): void
  unref(): void
  /** After an error of the socket, such as an overrun, of which libuv calls back once and then no more. */
  again(): void
}

let loaded: Native | undefined

/** The C library, loaded at the first call so that importing this package costs nothing. */
export function native(): Native {
  loaded ??= load()
  return loaded
}

function load(): Native {
  try {
    if (process.platform !== 'linux') throw new Error(`no netlink on ${process.platform}`)
    const koffi = loadKoffi()
    const libc = koffi.load(null)
    const send = libc.func('intptr_t send(int, const void *, size_t, int)')
    startThreadPool()
    return {
      unshare: libc.func('int unshare(int)'),
      setns: libc.func('int setns(int, int)'),
      mount: libc.func('int mount(const char *, const char *, const char *, unsigned long, const void *)'),
      umount2: libc.func('int umount2(const char *, int)'),
      prctl: libc.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)'),
      setrlimit: libc.func('int setrlimit(int, const void *)'),
      flock: libc.func('int flock(int, int)'),
      ioctl: libc.func('int ioctl(int, unsigned long, void *)'),
      socket: libc.func('int socket(int, int, int)'),
      bind: libc.func('int bind(int, const void *, uint32_t)'),
      setsockopt: libc.func('int setsockopt(int, int, int, const void *, uint32_t)'),
      sendto: libc.func('intptr_t sendto(int, const void *, size_t, int, const void *, uint32_t)'),
      send,
      sendAsync: (...args) =>
        new Promise((resolve, reject) => {
          send.async(...args, (error: unknown, result: number) => (error ? reject(error) : resolve(result)))
        }),
      recvfrom: libc.func('intptr_t recvfrom(int, void *, size_t, int, void *, void *)'),
      whenReadable(fd, callback) {
        const begin = () => koffi.node.poll(fd, { readable: true }, callback)
        let handle = begin()
        let isRef = true
        return {
          stop: () => handle.close(),
          unref() {
            isRef = false
            handle.unref()
          },
          again() {
            handle.close()
            handle = begin()
            if (!isRef) handle.unref()
          },
        }
      },
      addressOf: (bytes) => BigInt(koffi.address(bytes)),
      errno: () => koffi.errno(),
    }
  } catch (error) {
    throw errors.ERR_NETLINK_UNAVAILABLE({ platform: process.platform, arch: process.arch }, error)
  }
}

// koffi's own loader looks for its native part in many places, and that part's reads Node's executable to learn which C library
// it has: all that takes longer than a command line has. What is for another C library doesn't load.
function loadKoffi(): typeof import('koffi') {
  const require = createRequire(import.meta.url)
  try {
    const { arch } = process
    return createRequire(require.resolve('koffi'))(`@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`)
  } catch {
    return require('koffi')
  }
}

// A thread is born in the namespace of the thread that makes it. Were libuv's pool started between two setns calls,
// every later asynchronous file access and name look-up of the process would happen in a sandbox.
function startThreadPool() {
  stat('/', () => {})
}

/** Passes the result of a system call on, or throws with the reason of its failure. */
export function checked(result: number, operation: string, syscall: string, path?: string): number {
  if (result === -1) throw errors.systemCallFailed({ operation, syscall, errno: native().errno(), path })
  return result
}
