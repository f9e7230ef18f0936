import { errnoOf } from '@podwire/api'
import {
  links,
  type Netns,
  openNetlink,
  type PendingChanges,
  pendingChanges,
  type Request,
  type Watchable,
  withNetns,
} from '@podwire/netlink'
import { createLinkRemoval } from './link-removal.ts'
import { type Requests, requestsOf } from './requests.ts'
import { createScheduling } from './scheduling.ts'

/** The host's network. */
export interface Kernel extends Requests {
  /** Whether there is a link of this name, at once. */
  hasLink(name: string): boolean
  /** For what the kernel is known to take milliseconds for. */
  runOffLoop<T>(request: Request<T>): Promise<T>
  /**
   * The network of a sandbox, by path or descriptor.
   * @param visit runs in the sandbox's network namespace, synchronously
   */
  open(netns: Netns, visit?: () => void): Requests & Disposable
  /** Cuts the links off now; resolves when the kernel has forgotten them. Those that aren't there are no error. */
  removeLinks(names: readonly string[]): Promise<void>
  /** Has the kernel keep what changes of the host's network from now on; closed with the rest. */
  watch(what: readonly Watchable[]): PendingChanges
  close(): void
}

/** Errors: `ERR_NETLINK_UNAVAILABLE` on other platforms. */
export function openKernel(): Kernel {
  const netlink = openNetlink()
  const scheduling = createScheduling(() => removal.isBusy())
  const requests = requestsOf(netlink, scheduling)
  const watches: PendingChanges[] = []
  const removal = createLinkRemoval(requests)
  return {
    ...requests,
    hasLink(name) {
      try {
        netlink.runSync(links.brief(name))
        return true
      } catch (error) {
        if (errnoOf(error) === 'ENODEV') return false
        throw error
      }
    },
    runOffLoop: (request) => netlink.run(request),
    open(netns, visit) {
      const inside = withNetns(netns, () => {
        visit?.()
        return openNetlink()
      })
      return { ...requestsOf(inside, scheduling), [Symbol.dispose]: () => inside.close() }
    },
    removeLinks: removal.remove,
    watch(what) {
      const pending = pendingChanges(netlink, what)
      watches.push(pending)
      return pending
    },
    close() {
      for (const pending of watches) pending.close()
      netlink.close()
      removal.close()
    },
  }
}
