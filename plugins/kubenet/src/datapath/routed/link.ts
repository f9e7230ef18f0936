import { errnoOf } from '@podwire/api'
import { type Ipv4Settings, type Link, links, neighbours, routes, writeSysctl } from '@podwire/netlink'
import { withoutOwnAddress } from '../../kernel/ipv6.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import type { PodLinks } from '../../ownership/pod-links.ts'
import type { PodLink } from '../datapath.ts'
import { bringUpInside, type Inside } from '../inside.ts'
import { macFor, podMac } from '../mac.ts'
import { carrierOf, explainPair } from '../pair.ts'
import { freeIndex } from './link-index.ts'

/** Where pods send everything: addresses that nobody has, as each link has one other end alone. */
const LINK_GATEWAYS = { 4: '169.254.1.1', 6: 'fe80::1' } as const
export const GATEWAY_MAC = macFor(LINK_GATEWAYS[4])

/** What holds of all pods' links. */
export interface LinkSettings {
  /** Whether the host's 127.0.0.1 leads to pods. */
  readonly isLoopbackRouted: boolean
  /** Whether links are made without IPv6 on this host. */
  readonly isIpv6Off: boolean
}

/** An address alone: all of its network is beyond the gateway. */
export const insideOf = ({ addresses }: PodLink): Inside => ({
  addresses: addresses.map(({ address }) => hostPrefix(address)),
  gateways: addresses.map(({ address }) => LINK_GATEWAYS[address.includes(':') ? 6 : 4]),
  gatewayMac: GATEWAY_MAC,
})

/** The address as a network of its own. */
export const hostPrefix = (address: string) => `${address}/${address.includes(':') ? 128 : 32}`

/**
 * Makes the pod's veth pair, with all that the host knows of it in one exchange with the kernel and all that the pod knows in
 * another. Returns the index of the host's end.
 */
export async function connectLink(
  kernel: Kernel,
  podLinks: PodLinks,
  settings: LinkSettings,
  pod: PodLink,
  sandbox: number,
): Promise<number> {
  const { interfaceName, mtu } = pod
  const name = podLinks.names(pod.sandboxId).host
  const alias = podLinks.alias(pod)
  const dev = await freeIndex(async (index) => {
    const pair = links.add({
      kind: 'veth',
      name,
      index,
      mtu,
      address: GATEWAY_MAC,
      queues: 1,
      // Another number, or the kernel takes its time to tell that the other end is up.
      peer: { name: interfaceName, index: index + 1, mtu, address: podMac(pod), netns: sandbox, queues: 1 },
    })
    const rest = hostRequests(settings, pod, index, { alias })
    if (isIpv6Refused(settings, pod)) {
      await kernel.batch([pair, links.set(name, {})]).catch(explainPair(pod))
      writeSysctl(`net/ipv6/conf/${name}/disable_ipv6`, 0)
      await kernel.batch(rest)
    } else await kernel.batch([pair, ...rest]).catch(explainPair(pod))
  })
  await configureInside(kernel, pod, sandbox, dev + 1)
  await carrierOf(kernel, dev)
  return dev
}

const isIpv6Refused = ({ isIpv6Off }: LinkSettings, { addresses }: PodLink) =>
  isIpv6Off && addresses.some(({ address }) => address.includes(':'))

/** What makes the host's end what it should be, whatever it is: who is at the other one, and that nobody else is. */
function hostRequests(settings: LinkSettings, pod: PodLink, dev: number, more: { alias?: string } = {}) {
  const lladdr = podMac(pod)
  return [
    links.set(dev, {
      ...more,
      up: true,
      address: GATEWAY_MAC,
      // Nobody needs to ask who is at the other end, and nobody's word is taken for it.
      arp: false,
      ...withoutOwnAddress(pod.mtu),
      ipv4: ipv4Of(settings),
    }),
    ...pod.addresses.flatMap(({ address, gateway }) => [
      neighbours.replace({ dev, address, lladdr }),
      routes.replace({ destination: hostPrefix(address), dev, source: gateway }),
    ]),
  ]
}

// All in the request that sets the link up: each as a file below /proc/sys would take as long as all the routes.
const ipv4Of = ({ isLoopbackRouted }: LinkSettings): Ipv4Settings => ({
  proxy_arp: 0,
  accept_redirects: 0,
  send_redirects: 0,
  rp_filter: 1,
  route_localnet: isLoopbackRouted ? 1 : 0,
})

/**
 * Brings up what is inside the sandbox.
 * @param dev index of the pod's interface
 */
export async function configureInside(kernel: Kernel, pod: PodLink, sandbox: number, dev: number) {
  const own = { ...withoutOwnAddress(pod.mtu), ipv4: { accept_redirects: 0 } }
  using inside = kernel.open(sandbox)
  try {
    await bringUpInside(inside, pod, dev, insideOf(pod), own)
  } catch (error) {
    if (errnoOf(error) !== 'EACCES') throw error
    // Container runtimes turn IPv6 off in namespaces that they expect to have none.
    writeSysctl(`net/ipv6/conf/${pod.interfaceName}/disable_ipv6`, 0, sandbox)
    await bringUpInside(inside, pod, dev, insideOf(pod), own)
  }
}

/** What the kernel has of the host's ends of pods' links: of all of them, or of one. */
export interface Known {
  /** `INDEX DESTINATION` of each route. */
  readonly routes: ReadonlySet<string>
  /** `INDEX ADDRESS MAC` of each permanent entry. */
  readonly neighbours: ReadonlySet<string>
}

export async function known(kernel: Kernel, dev?: number): Promise<Known> {
  const of = dev === undefined ? {} : { dev }
  const ways = await kernel.runOffLoop(routes.list(of))
  const others = await kernel.runOffLoop(neighbours.list(of))
  return {
    routes: new Set(ways.map((way) => `${way.dev} ${way.destination}`)),
    neighbours: new Set(
      others
        .filter(({ state }) => state === 'permanent')
        .map((other) => `${other.dev} ${other.address} ${other.lladdr}`),
    ),
  }
}

/**
 * What is wrong with the host's end of a pod's link, each in a phrase.
 * @param settings undefined in a process that made no link yet, and so doesn't know what they should be
 */
export function linkDifferences(
  link: Link,
  pod: PodLink,
  settings: LinkSettings | undefined,
  { routes: ways, neighbours: others }: Known,
): string[] {
  const { name, index } = link
  const differences: string[] = []
  if (!link.up) differences.push(`its link ${name} is down`)
  if (link.master !== undefined) differences.push(`its link ${name} is a port of another one`)
  if (link.address !== GATEWAY_MAC) differences.push(`the MAC address of ${name} is ${link.address}`)
  if (link.arp) differences.push(`ARP of ${name} is on`)
  for (const [setting, value] of settings ? Object.entries(ipv4Of(settings)) : [])
    if (link.ipv4?.[setting as keyof Ipv4Settings] !== value)
      // the keys of just that
      differences.push(`${setting} of ${name} is not ${value}`)
  for (const { address } of pod.addresses) {
    if (!ways.has(`${index} ${hostPrefix(address)}`)) differences.push(`the route to ${address} is gone`)
    if (!others.has(`${index} ${address} ${podMac(pod)}`))
      differences.push(`the neighbour ${address} is gone`)
  }
  return differences
}

/** Puts right what {@link linkDifferences} tells of. */
export async function mendLink(kernel: Kernel, settings: LinkSettings, pod: PodLink, link: Link) {
  if (link.master !== undefined) await kernel.run(links.set(link.index, { master: null }))
  await kernel.batch(hostRequests(settings, pod, link.index))
}
