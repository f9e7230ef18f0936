import { CLUSTER_LINK_ALIAS, errnoOf } from '@podwire/api'
import {
  addresses,
  forwarding,
  type Link,
  links,
  type Netlink,
  neighbours,
  type Request,
  routes,
} from '@podwire/netlink'
import type { Wanted, WantedEnd, WantedRoute } from './wanted.ts'
import { wireguardNames } from './wireguard-link.ts'

/** Says of a route that it leads to another node's pods: `ip route` shows `proto 80`. */
export const ROUTE_PROTOCOL = 80

interface Way {
  /** Empty: none. */
  readonly gateway: string
  /** Index of the link. */
  readonly dev: number
  readonly onlink: boolean
}

/** What of the kernel's tables is for other nodes' pods, as it is or as it was left last. */
export interface KernelState {
  /** Links of ours by name. */
  readonly links: Map<string, Link>
  /** Routes of ours by destination. */
  readonly routes: Map<string, Way>
  /** Destinations that somebody else's route leads to. */
  readonly foreign: Set<string>
  /** Neighbours on links of ours, MAC addresses by index and address. */
  readonly neighbours: Map<string, string>
  /** Forwarding entries of links of ours, the other ends by index and MAC address. */
  readonly forwarding: Map<string, string>
  /** Addresses of links of ours, by index. */
  readonly addresses: Map<number, readonly string[]>
}

const at = (dev: number, what: string) => `${dev} ${what}`

export async function readKernel(netlink: Netlink): Promise<KernelState> {
  // The kernel answers one listing at a time.
  const all = await netlink.run(links.list({ kind: 'vxlan' }))
  // By their names: a kernel that has no links of a kind lists all there are, and a node has many.
  for (const name of Object.values(wireguardNames)) all.push(...(await linksCalled(netlink, name)))
  const own = all.filter(({ alias }) => alias === CLUSTER_LINK_ALIAS)
  const isOwn = (dev: number | undefined) => own.some(({ index }) => index === dev)
  const ways = await netlink.run(routes.list())
  const near = own.length === 0 ? [] : await netlink.run(neighbours.list())
  const frames = own.length === 0 ? [] : await netlink.run(forwarding.list())
  const there = own.length === 0 ? [] : await netlink.run(addresses.list())
  const ours = ways.filter(({ protocol }) => protocol === ROUTE_PROTOCOL)
  return {
    links: new Map(own.map((link) => [link.name, link])),
    routes: new Map(
      ours.map(({ destination, gateway = '', dev = 0, onlink }) => [destination, { gateway, dev, onlink }]),
    ),
    foreign: new Set(
      ways
        .filter(({ protocol, type }) => protocol !== ROUTE_PROTOCOL && type === 'unicast')
        .map(({ destination }) => destination),
    ),
    neighbours: new Map(
      near
        .filter(({ dev, state }) => isOwn(dev) && state === 'permanent')
        .map(({ dev, address, lladdr = '' }) => [at(dev, address), lladdr]),
    ),
    forwarding: new Map(
      frames
        .filter(({ dev, destination }) => isOwn(dev) && destination !== undefined)
        .map(({ dev, lladdr, destination = '' }) => [at(dev, lladdr), destination]),
    ),
    addresses: new Map(
      own.map(({ index }) => [
        index,
        there.filter(({ dev, scope }) => dev === index && scope === 'global').map(({ address }) => address),
      ]),
    ),
  }
}

async function linksCalled(netlink: Netlink, name: string): Promise<Link[]> {
  try {
    return [await netlink.run(links.get(name))]
  } catch (error) {
    if (errnoOf(error) === 'ENODEV') return []
    throw error
  }
}

/** What is to be asked of the kernel, and what it has after that. */
export interface Differences {
  readonly requests: readonly Request<void>[]
  readonly after: KernelState
  /** Destinations that lead elsewhere by somebody else's route, which stays. */
  readonly inTheWay: readonly string[]
  /** What there is to do, each in a phrase. */
  readonly phrases: readonly string[]
}

/** Compares what is wanted with what is there. The links are there already. */
export function compare(wanted: Pick<Wanted, 'routes' | 'ends'>, is: KernelState): Differences {
  const indexOf = (dev: string | number) => (typeof dev === 'number' ? dev : (is.links.get(dev)?.index ?? 0))
  const inTheWay = wanted.routes.map(({ destination }) => destination).filter((one) => is.foreign.has(one))
  const ways = wanted.routes.filter(({ destination }) => !is.foreign.has(destination))
  const after: KernelState = {
    ...is,
    routes: new Map(ways.map((route) => [route.destination, wayOf(route, indexOf)])),
    neighbours: new Map(wanted.ends.map(({ dev, gateway, lladdr }) => [at(indexOf(dev), gateway), lladdr])),
    forwarding: new Map(
      wanted.ends.map(({ dev, lladdr, destination }) => [at(indexOf(dev), lladdr), destination]),
    ),
  }
  const requests: Request<void>[] = []
  const phrases: string[] = []
  const ask = (request: Request<void>) => {
    requests.push(request)
    phrases.push(request.operation)
  }
  // The way to an end is there before packets take it, and goes after them.
  for (const end of wanted.ends) askForEnd(end, indexOf(end.dev), is, ask)
  for (const [destination, way] of after.routes)
    if (!isSame(is.routes.get(destination), way)) ask(replaceRoute(destination, way))
  for (const [destination, { dev }] of is.routes)
    if (!after.routes.has(destination)) ask(routes.del({ destination, dev, protocol: ROUTE_PROTOCOL }))
  for (const key of is.neighbours.keys()) {
    const [dev, address = ''] = key.split(' ')
    if (!after.neighbours.has(key)) ask(neighbours.del({ dev: Number(dev), address }))
  }
  for (const [key, destination] of is.forwarding) {
    const [dev, lladdr = ''] = key.split(' ')
    if (!after.forwarding.has(key)) ask(forwarding.del({ dev: Number(dev), lladdr, destination }))
  }
  return { requests, after, inTheWay, phrases }
}

function replaceRoute(destination: string, { gateway, dev, onlink }: Way): Request<void> {
  const by = gateway === '' ? {} : { gateway }
  return routes.replace({ destination, ...by, dev, onlink, protocol: ROUTE_PROTOCOL })
}

const wayOf = (
  { gateway = '', dev, onlink }: WantedRoute,
  indexOf: (dev: string | number) => number,
): Way => ({
  gateway,
  dev: indexOf(dev),
  onlink,
})

const isSame = (one: Way | undefined, other: Way) =>
  one?.gateway === other.gateway && one.dev === other.dev && one.onlink === other.onlink

function askForEnd(
  { gateway, lladdr, destination }: WantedEnd,
  dev: number,
  is: KernelState,
  ask: (request: Request<void>) => void,
) {
  if (is.forwarding.get(at(dev, lladdr)) !== destination)
    ask(forwarding.replace({ dev, lladdr, destination }))
  if (is.neighbours.get(at(dev, gateway)) !== lladdr)
    ask(neighbours.replace({ dev, address: gateway, lladdr }))
}
