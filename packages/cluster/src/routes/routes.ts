import { type Logger, messageOf } from '@podwire/api'
import { type Netlink, type NetworkChange, openNetlink, watchNetwork } from '@podwire/netlink'
import { podCIDROf } from '../layout/pod-subnets.ts'
import { compare, type KernelState, ROUTE_PROTOCOL, readKernel } from './kernel-state.ts'
import { ensureLinks } from './links.ts'
import { openTunnels } from './tunnels.ts'
import { openVxlanGuard } from './vxlan-guard.ts'
import { NOTHING, type Wanted } from './wanted.ts'

/** The kernel's routes to other nodes' pods. */
export interface Routes {
  /** Makes the kernel have what is wanted, and keeps it so. Rejects where it can't, and tries again by itself. */
  apply(wanted: Wanted): Promise<void>
  /**
   * Takes all of it away, and looks after nothing until something is wanted again. While the node is part of the network still, what
   * keeps its pods from speaking as nodes stays.
   */
  withdraw(how?: { readonly leaves: boolean }): Promise<void>
  /** What keeps some or all of it from being there; undefined when nothing does. */
  readonly problem: string | undefined
  /** Leaves everything as it is. */
  close(): Promise<void>
}

export interface RoutesOptions {
  readonly log: Logger
  /** How often it is looked whether all is there, besides what the kernel tells. Milliseconds. */
  readonly checkMs?: number
  /** Told of each repair, in phrases. */
  readonly onRepair?: (phrases: readonly string[]) => void
  /** Closed with the routes. Default: one of their own. */
  readonly netlink?: Netlink
}

/** Between what the kernel tells and the look at it: what is deleted together is put back together. Milliseconds. */
const settleMs = 30

export function openRoutes({
  log,
  checkMs = 30_000,
  onRepair,
  netlink = openNetlink(),
}: RoutesOptions): Routes {
  const tunnels = openTunnels()
  const guard = openVxlanGuard(log)
  const closed = new AbortController()
  let wanted: Wanted | undefined
  let believed: KernelState | undefined
  /** Destinations that somebody else's route leads to. */
  let inTheWay: ReadonlySet<string> = new Set()
  let problem: string | undefined
  let told: ReadonlySet<string> = new Set()
  let last: Promise<unknown> = Promise.resolve()
  let scheduled: NodeJS.Timeout | undefined
  let failures = 0

  /** One after the other. @param isRepair nobody asked for a change */
  function reconcile(isRepair: boolean): Promise<void> {
    const mine = last.then(() => reconcileNow(isRepair))
    last = mine.catch(() => {})
    return mine
  }

  async function reconcileNow(isRepair: boolean) {
    if (!wanted || closed.signal.aborted) return
    try {
      const phrases = await bringAbout(netlink, wanted, isRepair)
      failures = 0
      if (isRepair && phrases.length > 0) {
        log.warn(`cluster: put back what somebody changed: ${phrases.slice(0, 5).join(', ')}`, {
          count: phrases.length,
        })
        onRepair?.(phrases)
      }
    } catch (error) {
      // What was done of it is not known.
      believed = undefined
      failures++
      if (problem !== messageOf(error)) log.error(`cluster: ${messageOf(error)}`, { error })
      problem = messageOf(error)
      throw error
    }
  }

  async function bringAbout(netlink: Netlink, to: Wanted, isRepair: boolean): Promise<string[]> {
    const phrases: string[] = []
    // Before a link takes packets in.
    await guard.ensure(to, isRepair)
    if (isRepair || !believed) believed = await readKernel(netlink)
    const made = await ensureLinks(netlink, to.links, believed)
    phrases.push(...made)
    if (made.length > 0) believed = await readKernel(netlink)
    // Before packets come to them.
    phrases.push(...(await tunnels.ensure(to.tunnels, isRepair || made.length > 0)))
    const { requests, after, inTheWay: blocked, phrases: asked } = compare(to, believed)
    inTheWay = new Set(blocked)
    phrases.push(...asked)
    // Before it is so: what somebody takes away right after it was made is told of before the answer comes.
    believed = after
    if (requests.length > 0) await netlink.batch([...requests])
    problem =
      blocked.length === 0
        ? undefined
        : `somebody else's route leads to ${blocked.slice(0, 5).join(', ')}: delete it, and Podwire's takes its place`
    return phrases
  }

  /** Each reason once, until it is another one. */
  function tellOfUnreachable({ unreachable }: Wanted) {
    const sentences = [...unreachable].map(
      ([{ subnets, node }, reason]) =>
        `no way to the pods of ${podCIDROf(subnets)}${node?.nodeName === undefined ? '' : `, of node ${node.nodeName}`}: ${reason}`,
    )
    for (const sentence of sentences) if (!told.has(sentence)) log.warn(`cluster: ${sentence}`)
    told = new Set(sentences)
  }

  function schedule(ms: number) {
    scheduled ??= setTimeout(() => {
      scheduled = undefined
      reconcile(true).catch(scheduleAgain)
    }, ms)
  }

  // What the kernel refuses it may go on to refuse.
  const scheduleAgain = () => schedule(Math.min(checkMs, 500 * 2 ** failures))

  async function follow() {
    while (!closed.signal.aborted) {
      try {
        const what = ['link', 'address', 'route', 'neighbour'] as const
        for await (const change of watchNetwork(netlink, what, { signal: closed.signal }))
          if (believed && concerns(change, believed, inTheWay)) schedule(settleMs)
      } catch (error) {
        // More happened than was read: what, a look tells.
        log.debug(`cluster: ${messageOf(error)}`)
        schedule(settleMs)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }

  const following = follow()
  const checking = setInterval(() => schedule(0), checkMs)

  return {
    get problem() {
      return problem
    },
    async apply(next) {
      wanted = next
      tellOfUnreachable(next)
      await reconcile(false).catch((error: unknown) => {
        scheduleAgain()
        throw error
      })
    },
    async withdraw({ leaves } = { leaves: false }) {
      wanted = NOTHING
      believed = undefined
      await reconcile(false)
      if (leaves) await guard.remove()
    },
    async close() {
      closed.abort()
      clearInterval(checking)
      clearTimeout(scheduled)
      await Promise.allSettled([last, following])
      netlink.close()
      tunnels.close()
      guard.close()
    },
  }
}

/** Whether the kernel tells of something that is not as this process left it. */
function concerns(
  change: NetworkChange,
  { links, routes, neighbours }: KernelState,
  inTheWay: ReadonlySet<string>,
): boolean {
  const isOwn = (dev: number | undefined) => [...links.values()].some(({ index }) => index === dev)
  switch (change.what) {
    case 'link':
      if (isOwn(change.link.index)) return change.change === 'deleted' || !change.link.up
      // The node's own link took the routes with it when it went down, and says nothing of that.
      return change.link.up && [...routes.values()].some(({ dev }) => dev === change.link.index)
    case 'address':
      return isOwn(change.address.dev) && change.change === 'deleted'
    case 'neighbour': {
      const { dev, address, lladdr, state } = change.neighbour
      const known = neighbours.get(`${dev} ${address}`)
      if (known === undefined) return false
      return change.change === 'deleted' || known !== lladdr || state !== 'permanent'
    }
    case 'route': {
      const { destination, protocol, gateway = '', type } = change.route
      if (change.change === 'deleted' && protocol !== ROUTE_PROTOCOL) return inTheWay.has(destination)
      const way = routes.get(destination)
      if (!way || type !== 'unicast') return false
      if (change.change === 'deleted') return gateway === way.gateway
      return protocol !== ROUTE_PROTOCOL || gateway !== way.gateway
    }
  }
}
