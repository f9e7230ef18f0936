import type { NetlinkError } from '../errors.ts'
import type { Netlink } from '../socket/netlink.ts'
import { closeSocket, joinGroups, receive } from '../socket/socket.ts'
import { changesOf, groups, type NetworkChange, type Watchable } from './monitor.ts'

/** What changed in a namespace, kept by the kernel until somebody asks. */
export interface PendingChanges {
  /**
   * The changes since the last call, at once and without waiting; a call costs a microsecond where nothing changed.
   * Undefined after more changes than the kernel keeps (4 MiB of messages): list again.
   */
  take(): NetworkChange[] | undefined
  close(): void
}

/** Has the kernel keep what changes from this call on, for a look now and then. Keeps no process alive. */
export function pendingChanges(netlink: Netlink, what: readonly Watchable[]): PendingChanges {
  const fd = netlink.openSocket()
  try {
    joinGroups(
      fd,
      what.flatMap((item) => groups[item]),
    )
  } catch (error) {
    closeSocket(fd)
    throw error
  }
  return {
    take() {
      const changes: NetworkChange[] = []
      let isOverrun = false
      for (;;) {
        try {
          const messages = receive(fd)
          if (!messages) return isOverrun ? undefined : changes
          changes.push(...messages.flatMap(changesOf))
        } catch (error) {
          if ((error as NetlinkError).code !== 'ENOBUFS') throw error // receive throws nothing else
          isOverrun = true
        }
      }
    },
    close: () => closeSocket(fd),
  }
}
