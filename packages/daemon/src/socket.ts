import { chmodSync, chownSync } from 'node:fs'
import type { Server } from 'node:http'
import { dirname } from 'node:path'
import { removeIfThere } from '@podwire/api/files'
import { errors } from './errors.ts'

/** What the kernel takes of the path of a socket, in bytes. */
const longestPath = 107

/**
 * Has a server listen on a Unix socket, for its user alone, or for a group besides. What is left there of a daemon that was
 * killed is replaced: who holds the lock of the state directory is the only one.
 * @throws PodwireError `SOCKET_PATH_TOO_LONG`, `SOCKET_UNUSABLE`
 */
export async function listenOnSocket(server: Server, socket: string, gid: number | undefined): Promise<void> {
  const bytes = Buffer.byteLength(socket)
  if (bytes > longestPath) throw errors.SOCKET_PATH_TOO_LONG({ socket, bytes })
  try {
    removeIfThere(socket)
    await listen(server, socket)
    if (gid === undefined) return
    // The group has to get through the directory as well; records stay for their owner alone.
    chownSync(dirname(socket), -1, gid)
    chmodSync(dirname(socket), 0o710)
    chownSync(socket, -1, gid)
    chmodSync(socket, 0o660)
  } catch (cause) {
    throw errors.SOCKET_UNUSABLE({ socket }, cause)
  }
}

function listen(server: Server, socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // The kernel makes the socket within this call, with the mode that the mask leaves.
    const mask = process.umask(0o177)
    try {
      server.listen({ path: socket, backlog: 511 }, () => {
        server.off('error', reject)
        resolve()
      })
    } finally {
      process.umask(mask)
    }
  })
}
