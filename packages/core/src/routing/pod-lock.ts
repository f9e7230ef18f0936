import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/**
 * One operation at a time for a pod: in this process through a queue, across processes through a lock that the kernel
 * drops when its holder dies. The lock is an abstract unix socket, so there is no stale file to judge; it is named by
 * `scope`, and seen by the processes of one network namespace.
 */
export interface PodLock {
  /** Waits for the lock, runs `operation`, releases. Rejects with the signal's reason when it aborts while waiting. */
  run<T>(pod: string, operation: () => Promise<T>, signal?: AbortSignal): Promise<T>
  /** Runs `operation` when nobody holds the lock, else returns undefined at once. */
  tryRun<T>(pod: string, operation: () => Promise<T>): Promise<T | undefined>
}

/** @param scope what the lock belongs to, the same for every process that must exclude each other: the state directory */
export function createPodLock(scope: string): PodLock {
  // The last operation queued for each pod; an entry goes with its last user.
  const queues = new Map<string, Promise<unknown>>()

  const enqueue = <T>(pod: string, operation: () => Promise<T>): Promise<T> => {
    const turn = (queues.get(pod) ?? Promise.resolve()).then(operation)
    const settled = turn.then(
      () => {},
      () => {},
    )
    queues.set(pod, settled)
    void settled.then(() => {
      if (queues.get(pod) === settled) queues.delete(pod)
    })
    return turn
  }

  return {
    run: (pod, operation, signal) =>
      enqueue(pod, async () => {
        const release = await acquire(lockName(scope, pod), signal)
        try {
          return await operation()
        } finally {
          release()
        }
      }),
    tryRun: async (pod, operation) => {
      if (queues.has(pod)) return undefined
      return enqueue(pod, async () => {
        const release = await tryListen(lockName(scope, pod))
        if (!release) return undefined
        try {
          return await operation()
        } finally {
          release()
        }
      })
    },
  }
}

type Release = () => void

async function acquire(name: string, signal: AbortSignal | undefined): Promise<Release> {
  for (;;) {
    signal?.throwIfAborted()
    const release = await tryListen(name)
    if (release) return release
    await holderGone(name, signal)
  }
}

async function tryListen(name: string): Promise<Release | undefined> {
  const waiting = new Set<Socket>()
  const server: Server = createServer((socket) => {
    waiting.add(socket)
    socket.on('error', () => {}).on('close', () => waiting.delete(socket))
  })
  server.listen(name)
  try {
    await once(server, 'listening')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return undefined
    throw error
  }
  return () => {
    server.close()
    for (const socket of waiting) socket.destroy()
  }
}

/** Waits on a connection to the holder, which ends when the holder lets go, however it does. */
function holderGone(name: string, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(name)
    const stop = () => socket.destroy()
    signal?.addEventListener('abort', stop, { once: true })
    // A refusal or a reset says the same as the end: it is gone.
    socket
      .on('error', () => {})
      .on('close', () => {
        signal?.removeEventListener('abort', stop)
        resolve()
      })
      .resume()
  })
}

// 107 bytes are what an address holds, so both parts are hashed.
function lockName(scope: string, pod: string): string {
  return `\0podwire:${createHash('sha256').update(scope).update('\0').update(pod).digest('hex')}`
}
