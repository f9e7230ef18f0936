import { createHash } from 'node:crypto'
import { ignoring, type Pod, type PodRef, parseCIDR } from '@podwire/api'
import { addresses, links, openNetlink, routes } from '@podwire/netlink'
import { addressesOf } from './addresses.ts'
import { name } from './name.ts'

/** How a pod is connected. */
export interface Connection {
  /** The link's end on this node. */
  readonly link: string
  /** The pod's address, without prefix length. */
  readonly address: string
}

/** What a sandbox is known by. */
export type Sandbox = Pick<PodRef, 'sandboxId'>

/** What a new connection is made by. */
export interface ConnectionSettings {
  readonly podCIDR: string
  /** In bytes; 0: the kernel's own. */
  readonly mtu: number
  /** What pods send everything to: the same address on this end of every link. */
  readonly gateway: string
}

// The pod's end of the link.
const inside = 'eth0'

/** The connection of a sandbox, by what the kernel has of it; undefined: none, or half of one. */
export async function connectionOf(sandbox: Sandbox): Promise<Connection | undefined> {
  using node = openNetlink()
  const link = linkName(sandbox)
  const found = await node.run(links.brief(link)).catch(ignoring('ENODEV'))
  if (!found) return undefined
  // A link without a route to the pod was never finished.
  const [route] = node.runSync(routes.list({ family: 'inet', dev: found.index }))
  return route && { link, address: withoutLength(route.destination) }
}

/** Makes a link, and gives the pod the first address that nobody has. What fails leaves nothing behind. */
export async function connect(pod: Pod, { podCIDR, gateway, mtu }: ConnectionSettings): Promise<Connection> {
  const link = linkName(pod)
  const size = mtu > 0 ? { mtu } : {}
  using node = openNetlink()
  using sandbox = openNetlink({ netns: pod.netns })
  try {
    node.runSync(
      links.add({
        kind: 'veth',
        name: link,
        alias: `${name} ${pod.sandboxId}`,
        up: true,
        ...size,
        peer: { name: inside, netns: pod.netns, ...size },
      }),
    )
    const { index } = node.runSync(links.get(link))
    node.runSync(addresses.add({ dev: index, address: `${gateway}/32` }))
    const { index: dev } = sandbox.runSync(links.get(inside))
    sandbox.runSync(links.set(dev, { up: true }))
    const address = claim(podCIDR, (destination) => node.runSync(routes.add({ destination, dev: index })))
    sandbox.batchSync([
      addresses.add({ dev, address: `${address}/32` }),
      routes.add({ destination: `${gateway}/32`, dev, scope: 'link' }),
      routes.add({ destination: 'default', gateway, dev }),
    ])
    return { link, address }
  } catch (error) {
    await disconnect(pod)
    throw error
  }
}

/** Takes the link away, and with it both ends, the addresses and the routes. */
export async function disconnect(sandbox: Sandbox): Promise<void> {
  using node = openNetlink()
  await node.run(links.del(linkName(sandbox))).catch(ignoring('ENODEV'))
}

/** What is no longer as it was made, in a phrase; undefined: nothing. */
export function problemOf({ link, address }: Connection, netns: string): string | undefined {
  using node = openNetlink()
  using sandbox = openNetlink({ netns })
  // Both ends must be up for it.
  if (!node.runSync(links.brief(link)).running) return `its link ${link} is down`
  const held = sandbox.runSync(addresses.list({ family: 'inet' })).map((one) => one.address)
  if (!held.includes(`${address}/32`)) return `it no longer has its address ${address}`
  const destinations = sandbox.runSync(routes.list({ family: 'inet' })).map((one) => one.destination)
  return destinations.includes('default') ? undefined : 'it has no default route'
}

/** Takes away the links of sandboxes that are not in the list. */
export async function disconnectOthers(sandboxIds: readonly string[]): Promise<void> {
  using node = openNetlink()
  const owned = node.runSync(links.list({ kind: 'veth' })).flatMap(({ alias = '' }) => {
    const [owner, sandboxId] = alias.split(' ')
    return owner === name && sandboxId ? [sandboxId] : []
  })
  for (const sandboxId of owned) if (!sandboxIds.includes(sandboxId)) await disconnect({ sandboxId })
}

// The kernel refuses a second route to an address: however many processes look for one, each gets its own.
function claim(podCIDR: string, add: (destination: string) => void): string {
  const ranges = podCIDR.split(',').map((one) => parseCIDR(one.trim()))
  const range = ranges.find((one) => one?.family === 4)
  if (!range) throw new Error(`the pod CIDR ${podCIDR} has no IPv4 network: set one such as 10.88.0.0/16`)
  for (const address of addressesOf(range)) {
    try {
      add(`${address}/32`)
      return address
    } catch (error) {
      ignoring('EEXIST')(error)
    }
  }
  throw new Error(`no address is left in ${podCIDR}: tear a pod down, or set a larger podCIDR`)
}

// A name holds 15 bytes: too few for an ID, enough for what tells it from all others.
function linkName({ sandboxId }: Sandbox): string {
  return `pw${createHash('sha256').update(`${name} ${sandboxId}`).digest('hex').slice(0, 12)}`
}

function withoutLength(cidr: string): string {
  return cidr.slice(0, cidr.indexOf('/'))
}
