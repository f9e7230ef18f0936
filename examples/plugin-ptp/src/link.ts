import { createHash } from 'node:crypto'
import { type CIDR, ignoring, type Pod, type PodRef } from '@podwire/api'
import { addresses, links, type Netlink, openNetlink, routes } from '@podwire/netlink'
import { addressesIn } from './addresses.ts'

type Sandbox = Pick<PodRef, 'sandboxId'>

// The pod's end, and what is on the other one: only the pod sees it, so that it is the same for all.
const inside = 'eth0'
const gateways = { 4: '169.254.1.1', 6: 'fe80::1' } as const
const lengths = { 4: 32, 6: 128 } as const
const alias = 'example/ptp'

/** The addresses that a pod has by the routes to them, IPv4 first; none: it has no link, or half of one. */
export function addressesOfPod(sandbox: Sandbox): string[] {
  using node = openNetlink()
  const link = findLink(node, sandbox)
  if (link === undefined) return []
  const found = (['inet', 'inet6'] as const).flatMap((family) =>
    node.runSync(routes.list({ family, dev: link })),
  )
  return found
    .map(({ destination }) => destination)
    .filter((destination) => /(?:\.\d+\/32|:.*\/128)$/.test(destination) && !destination.startsWith('fe80:'))
    .map((destination) => destination.slice(0, destination.indexOf('/')))
}

/** Gives a pod a link and an address of each range. What fails leaves nothing behind. */
export async function linkPod(pod: Pod, ranges: readonly CIDR[], mtu: number): Promise<void> {
  using node = openNetlink()
  using sandbox = openNetlink({ netns: pod.netns })
  const size = mtu > 0 ? { mtu } : {}
  const peer = { name: inside, netns: pod.netns, ...size }
  const name = linkName(pod)
  try {
    node.runSync(
      links.add({ kind: 'veth', name, alias: `${alias} ${pod.sandboxId}`, up: true, ...size, peer }),
    )
    const { index } = node.runSync(links.get(name))
    const { index: dev } = sandbox.runSync(links.get(inside))
    sandbox.runSync(links.set(dev, { up: true }))
    for (const range of ranges) {
      const { family } = range
      const gateway = gateways[family]
      node.runSync(addresses.add({ dev: index, address: `${gateway}/${lengths[family]}`, noDad: true }))
      const address = `${claim(node, index, range)}/${lengths[family]}`
      sandbox.batchSync([
        addresses.add({ dev, address, noDad: true }),
        routes.add({ destination: `${gateway}/${lengths[family]}`, dev, scope: 'link' }),
        routes.add({ destination: 'default', gateway, dev }),
      ])
    }
  } catch (error) {
    await unlinkPod(pod)
    throw error
  }
}

/** Takes a pod's link away, and with it both ends, the addresses and the routes. */
export async function unlinkPod(sandbox: Sandbox): Promise<void> {
  using node = openNetlink()
  await node.run(links.del(linkName(sandbox))).catch(ignoring('ENODEV'))
}

/** The same for every link of this plugin whose sandbox is not in the list. */
export async function unlinkAllBut(sandboxIds: readonly string[]): Promise<void> {
  using node = openNetlink()
  for (const link of node.runSync(links.list({ kind: 'veth' }))) {
    const [owner, sandboxId] = link.alias?.split(' ') ?? []
    if (owner === alias && sandboxId && !sandboxIds.includes(sandboxId)) await unlinkPod({ sandboxId })
  }
}

/** What is not as it was made, each in a phrase. @param netns undefined: the host knows none */
export function problemsOfPod(pod: Sandbox, netns: string | undefined): string[] {
  const wanted = addressesOfPod(pod)
  if (wanted.length === 0) return ['it has no link to this node']
  if (netns === undefined) return ['its network namespace is gone']
  using node = openNetlink()
  using sandbox = openNetlink({ netns })
  // Both ends must be up for it.
  if (!node.runSync(links.brief(linkName(pod))).running) return ['its link is down']
  const held = sandbox.runSync(addresses.list()).map(({ address }) => address.slice(0, address.indexOf('/')))
  const ways = sandbox.runSync(routes.list()).filter(({ destination }) => destination === 'default').length
  return [
    ...wanted
      .filter((address) => !held.includes(address))
      .map((address) => `it has lost its address ${address}`),
    ...(ways < wanted.length ? ['it has lost a default route'] : []),
  ]
}

// The kernel refuses a second route to an address: however many processes look for one, each gets its own.
function claim(node: Netlink, dev: number, range: CIDR): string {
  for (const address of addressesIn(range)) {
    try {
      node.runSync(routes.add({ destination: `${address}/${lengths[range.family]}`, dev }))
      return address
    } catch (error) {
      ignoring('EEXIST')(error)
    }
  }
  throw new Error(
    `no address is left in ${range.address}/${range.prefixLength}: tear a pod down, or set a larger podCIDR`,
  )
}

function findLink(node: Netlink, sandbox: Sandbox): number | undefined {
  try {
    return node.runSync(links.brief(linkName(sandbox))).index
  } catch (error) {
    return ignoring('ENODEV')(error)
  }
}

// A name holds 15 bytes: too few for an ID, enough for what tells it from all others.
function linkName({ sandboxId }: Sandbox): string {
  return `ptp${createHash('sha256').update(sandboxId).digest('hex').slice(0, 11)}`
}
