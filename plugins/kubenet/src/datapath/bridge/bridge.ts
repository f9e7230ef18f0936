import { ignoring } from '@podwire/api'
import { addresses, type Link, links, routes } from '@podwire/netlink'
import { errors } from '../../errors.ts'
import { formatCidr, parseCidr } from '../../ipam/cidr.ts'
import type { PodNetwork } from '../../ipam/network.ts'
import { hasIpv6 } from '../../kernel/ipv6.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { ensureSysctls, type Sysctl, sysctlDifferences } from '../../kernel/sysctls.ts'
import type { Ensured, NetworkPlan } from '../datapath.ts'
import { macFor } from '../mac.ts'

export interface BridgePlan extends NetworkPlan {
  readonly name: string
  readonly promiscuous: boolean
  /** Says whose it is from now on; undefined: it goes on to say what someone else wrote there. */
  readonly alias: string | undefined
  /** Gateways that this host gave the bridge before, with prefix length. */
  readonly earlierGateways: readonly string[]
}

/** Makes the bridge as planned, or what is missing of it. Errors: netlink's, `BRIDGE_NAME_TAKEN`. */
export async function ensureBridge(
  kernel: Kernel,
  plan: BridgePlan,
): Promise<Pick<Ensured, 'repaired' | 'refused'> & { bridge: Link }> {
  const repaired: string[] = []
  const bridge = await ensureLink(kernel, plan, repaired)
  const sysctls = ensureSysctls(bridgeSysctls(plan))
  repaired.push(...sysctls.repaired)
  await ensureSettings(kernel, bridge, plan, repaired)
  await ensureAddresses(kernel, bridge, plan, repaired)
  return { bridge, repaired, refused: sysctls.refused }
}

/** In what the bridge is not as planned, each in a phrase. Looks, and touches nothing. */
export async function bridgeDifferences(
  kernel: Kernel,
  plan: Pick<BridgePlan, keyof NetworkPlan | 'name' | 'promiscuous'>,
  bridge: Link | undefined,
): Promise<string[]> {
  const { name, mtu, networks, promiscuous } = plan
  if (!bridge) return [`bridge ${name} is gone`]
  const dev = bridge.index
  const there = (await kernel.run(addresses.list({ dev }))).map(({ address }) => address)
  const reached = (await kernel.run(routes.list({ dev }))).map(({ destination }) => destination)
  const differences = sysctlDifferences(bridgeSysctls(plan))
  if (!bridge.up) differences.push(`bridge ${name} is down`)
  if (bridge.mtu !== mtu) differences.push(`the MTU of bridge ${name} is ${bridge.mtu}, not ${mtu}`)
  if (bridge.promiscuous !== promiscuous)
    differences.push(`bridge ${name} is ${promiscuous ? 'not ' : ''}promiscuous`)
  for (const network of networks) {
    if (!there.includes(gatewayOf(network))) differences.push(`bridge ${name} lacks ${gatewayOf(network)}`)
    if (!reached.includes(formatCidr(network)))
      differences.push(`the route to ${formatCidr(network)} by bridge ${name} is gone`)
  }
  return differences
}

/** The link of the bridge's name, if there is one. @throws PodwireError `BRIDGE_NAME_TAKEN` */
export async function findBridge(kernel: Kernel, name: string): Promise<Link | undefined> {
  const link = await kernel.findLink(name)
  if (link && link.kind !== 'bridge') throw errors.BRIDGE_NAME_TAKEN({ bridge: name, kind: link.kind })
  return link
}

async function ensureLink(kernel: Kernel, plan: BridgePlan, repaired: string[]): Promise<Link> {
  const { name, mtu, networks } = plan
  const there = await findBridge(kernel, name)
  if (there) return there
  const made = links.add({
    kind: 'bridge',
    name,
    mtu,
    // Without an address of its own a bridge takes the lowest of its ports', and changes it under the pods.
    address: macFor(networks[0]?.gateway ?? '0.0.0.0'),
    // Snooping restarts the timers of all ports whenever one comes or goes: the thousandth pod would take twice as long as
    // the first. Where nobody asks for group memberships, as among pods, it floods like a bridge without.
    multicastSnooping: false,
  })
  // Another process may make it at this moment.
  await kernel.run(made).catch(ignoring('EEXIST'))
  repaired.push(`bridge ${name}`)
  return kernel.run(links.get(name))
}

// Before the bridge is up, as what it accepts counts from its first packet.
function bridgeSysctls({ name, networks }: Pick<BridgePlan, 'name' | 'networks'>): Sysctl[] {
  const isV6 = networks.some(({ family }) => family === 6)
  return [
    [`net/ipv4/conf/${name}/accept_redirects`, '0'],
    ...(hasIpv6() ? listeningSysctls(name) : []),
    ...(isV6 ? ownSysctls(name) : []),
  ]
}

/** A pod is not a router: what it advertises, and where it redirects to, is not listened to. */
const listeningSysctls = (name: string): Sysctl[] => [
  [`net/ipv6/conf/${name}/accept_ra`, '0'],
  [`net/ipv6/conf/${name}/accept_redirects`, '0'],
]

const ownSysctls = (name: string): Sysctl[] => [
  [`net/ipv6/conf/${name}/disable_ipv6`, '0'],
  // While the bridge looks for duplicates of its own link-local address it asks for no neighbour's.
  [`net/ipv6/conf/${name}/accept_dad`, '0'],
]

async function ensureSettings(kernel: Kernel, bridge: Link, plan: BridgePlan, repaired: string[]) {
  const { name, mtu, promiscuous, alias } = plan
  const isMade = repaired.includes(`bridge ${name}`)
  const differs = !bridge.up || bridge.mtu !== mtu || bridge.promiscuous !== promiscuous
  const isMarked = alias === undefined || bridge.alias === alias
  if (!differs && isMarked) return
  const mark = isMarked ? {} : { alias }
  await kernel.run(links.set(bridge.index, { up: true, mtu, promiscuous, ...mark }))
  if (differs && !isMade) repaired.push(`settings of bridge ${name}`)
}

async function ensureAddresses(kernel: Kernel, bridge: Link, plan: BridgePlan, repaired: string[]) {
  const dev = bridge.index
  const wanted = new Map(plan.networks.map((network) => [gatewayOf(network), network]))
  const there = new Set((await kernel.run(addresses.list({ dev }))).map(({ address }) => address))
  for (const address of plan.earlierGateways) {
    if (!there.has(address) || wanted.has(address)) continue
    await kernel.run(addresses.del({ dev, address })).catch(ignoring('EADDRNOTAVAIL'))
    const network = parseCidr(address)
    if (network)
      await kernel.run(routes.del({ destination: formatCidr(network), dev })).catch(ignoring('ESRCH'))
  }
  for (const [address, { family }] of wanted) {
    if (there.has(address)) continue
    await kernel.run(addresses.replace({ dev, address, noDad: family === 6 }))
    repaired.push(`address ${address}`)
  }
  const reached = new Set((await kernel.run(routes.list({ dev }))).map(({ destination }) => destination))
  for (const network of wanted.values()) {
    const destination = formatCidr(network)
    if (reached.has(destination)) continue
    const source = network.family === 4 ? { source: network.gateway } : {}
    await kernel.run(routes.replace({ destination, dev, ...source }))
    repaired.push(`route ${destination}`)
  }
}

/** A network's address on the bridge. */
export const gatewayOf = ({ gateway, prefixLength }: PodNetwork) => `${gateway}/${prefixLength}`
