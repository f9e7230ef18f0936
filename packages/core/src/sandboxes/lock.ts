import { hash } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf, ignoring } from '@podwire/api'
import { namesIn } from '@podwire/api/files'
import { errors } from '../errors.ts'

/** How long to wait for a lock, and until when. */
export interface LockOptions {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds. */
  readonly deadlineMs: number
}

/**
 * One operation at a time for a pod: in this process through a queue, across processes through `flock` on a file in the
 * state directory. The kernel drops such a lock when its holder dies; it belongs to the directory however its path is
 * written, holds across network and process namespaces, and only who may write there can take it.
 */
export interface PodLock {
  /**
   * Waits for the lock, runs `operation`, releases.
   * @throws PodwireError `POD_LOCKED` at the deadline, with who holds it; the signal's reason when it aborts the waiting
   */
  run<T>(pod: string, operation: () => Promise<T>, options: LockOptions): Promise<T>
  /** Runs `operation` when nobody holds the lock, else returns undefined at once. */
  tryRun<T>(pod: string, operation: () => Promise<T>): Promise<T | undefined>
  /** Removes the files of holders that were killed. */
  sweep(): Promise<void>
}

export function createPodLock(stateDir: string): PodLock {
  const dir = join(stateDir, 'locks')
  // The last operation queued for each pod; an entry goes with its last user.
  const queues = new Map<string, Promise<unknown>>()
  const fileOf = (pod: string) => join(dir, `${hash('sha256', pod).slice(0, 32)}.lock`)

  const enqueue = <T>(pod: string, operation: () => Promise<T>): Promise<T> => {
    const next = (queues.get(pod) ?? Promise.resolve()).then(operation)
    const settled = next.then(
      () => {},
      () => {},
    )
    queues.set(pod, settled)
    void settled.then(() => {
      if (queues.get(pod) === settled) queues.delete(pod)
    })
    return next
  }

  return {
    run: (pod, operation, options) =>
      enqueue(pod, async () => {
        const release = await acquire(pod, fileOf(pod), options)
        try {
          return await operation()
        } finally {
          release()
        }
      }),
    tryRun: async (pod, operation) => {
      if (queues.has(pod)) return undefined
      return enqueue(pod, async () => {
        const release = await tryAcquire(fileOf(pod))
        if (!release) return undefined
        try {
          return await operation()
        } finally {
          release()
        }
      })
    },
    sweep: async () => {
      // Whoever takes a lock removes its file. One that can't be taken is told of when its pod is worked on.
      for (const name of namesIn(dir)) (await tryAcquire(join(dir, name)).catch(() => undefined))?.()
    },
  }
}

export type Release = () => void

const pollMs = 10

async function acquire(pod: string, file: string, { signal, deadlineMs }: LockOptions): Promise<Release> {
  const started = performance.now()
  for (;;) {
    signal?.throwIfAborted()
    const release = await tryAcquire(file)
    if (release) return release
    const waitedMs = performance.now() - started
    if (waitedMs > deadlineMs) throw errors.POD_LOCKED({ pod, holder: holderOf(file), waitedMs })
    // The kernel tells nobody when a lock is free, except who blocks a thread on it.
    await sleep(pollMs)
  }
}

// koffi costs some 15 ms to load; whoever only looks needs none of it.
const loadFlock = () => import('@podwire/netlink/file-lock')
let flock: Awaited<ReturnType<typeof loadFlock>> | undefined

/** Takes the lock of a file, which is made where there is none, if nobody has it. */
export async function tryAcquire(file: string): Promise<Release | undefined> {
  flock ??= await loadFlock()
  const { fd, path } = openLockFile(file)
  try {
    // Its last holder may have removed the file between our opening and locking it: the lock of nothing.
    if (flock.tryLockFile(fd) && fstatSync(fd).nlink > 0) return () => release(path, fd)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  closeSync(fd)
  return undefined
}

// Removed while it is still locked, so that no file stays for each pod that ever was.
function release(path: string | undefined, fd: number): void {
  try {
    if (path !== undefined) unlinkSync(path)
  } catch (error) {
    ignoring('ENOENT', 'EROFS')(error)
  } finally {
    closeSync(fd)
  }
}

const { O_CREAT, O_NOFOLLOW, O_RDONLY } = constants

/** Opens the file to lock. Where none can be made, on a full or read-only disk, its directory is locked, for all pods. */
function openLockFile(file: string): { fd: number; path?: string } {
  const dir = dirname(file)
  const open = () => ({ fd: openSync(file, O_RDONLY | O_CREAT | O_NOFOLLOW, 0o600), path: file })
  try {
    try {
      return open()
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      mkdirSync(dir, { recursive: true, mode: 0o700 })
      return open()
    }
  } catch (cause) {
    if (!['ENOSPC', 'EROFS', 'EDQUOT'].includes(errnoOf(cause) ?? '')) {
      throw errors.STATE_UNUSABLE({ path: file }, cause)
    }
    return { fd: openSync(existsSync(dir) ? dir : dirname(dir), O_RDONLY | O_NOFOLLOW) }
  }
}

/** The process that holds a lock, as far as the kernel tells. */
function holderOf(file: string): string {
  try {
    return describeHolder(lockHolder(file)) ?? 'a process that is not visible from here'
  } catch {
    return 'a process that has just ended'
  }
}

/** The number of the process that holds the lock of a file; undefined where none is visible from here. Throws node:fs's errors. */
export function lockHolder(file: string): number | undefined {
  const { ino } = statSync(file)
  const line = readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .find((one) => one.includes(' FLOCK ') && one.split(/\s+/).some((field) => field.endsWith(`:${ino}`)))
  const [, pid] = /WRITE (\d+) /.exec(line ?? '') ?? []
  return pid === undefined ? undefined : Number(pid)
}

/** `process 7 (node server.js)` */
export function describeHolder(pid: number | undefined): string | undefined {
  if (pid === undefined) return undefined
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  return `process ${pid} (${command})`
}
