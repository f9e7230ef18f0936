import { messageOf } from '@podwire/api'
import { addresses, type Link, links, type Netlink, routes } from '@podwire/netlink'
import { encodeIp } from '@podwire/netlink/transport'
import { bridgeTaken } from '../errors.ts'
import { type Cidr, formatCidr } from '../ipam/cidr.ts'
import { type Courier, unless } from './courier.ts'
import { isPodLinkName } from './names.ts'
import { neededSysctls, setSysctl } from './sysctls.ts'

/** A network's address on the bridge. */
interface BridgeAddress {
  readonly gateway: string
  readonly network: Cidr
}

export interface BridgePlan {
  readonly name: string
  readonly mtu: number
  readonly promiscuous: boolean
  readonly addresses: readonly BridgeAddress[]
}

export interface BridgeState {
  readonly index: number
  readonly mac: string
  /** What was missing and is there now, each in a phrase; of a bridge that is new, everything. */
  readonly repaired: readonly string[]
  /** What could not be set; pods work without, but not beyond it. */
  readonly refused: readonly string[]
}

/** Makes the bridge as planned, or what is missing of it. Errors: netlink's, `BRIDGE_NAME_TAKEN`. */
export async function ensureBridge(
  netlink: Netlink,
  courier: Courier,
  plan: BridgePlan,
): Promise<BridgeState> {
  const repaired: string[] = []
  const refused: string[] = []
  const bridge = await ensureLink(netlink, courier, plan, repaired)
  const families = [...new Set(plan.addresses.map(({ network }) => network.family))]
  for (const [path, value] of neededSysctls(plan.name, families)) {
    try {
      if (setSysctl(path, value)) repaired.push(`${path.replaceAll('/', '.')} = ${value}`)
    } catch (error) {
      refused.push(messageOf(error))
    }
  }
  await ensureAddresses(netlink, courier, bridge, plan, repaired)
  return { index: bridge.index, mac: bridge.address ?? '', repaired, refused }
}

async function ensureLink(
  netlink: Netlink,
  courier: Courier,
  plan: BridgePlan,
  repaired: string[],
): Promise<Link> {
  const { name, mtu, promiscuous } = plan
  let bridge = await courier.findLink(netlink, name)
  if (bridge && bridge.kind !== 'bridge') throw bridgeTaken(name, bridge.kind)
  if (!bridge) {
    // Without an address of its own a bridge takes the lowest of its ports', and changes it under the pods.
    const address = bridgeMac(plan)
    // Snooping restarts the timers of all ports whenever one comes or goes: the thousandth pod would take twice as long as
    // the first. Where nobody asks for group memberships, as among pods, it floods like a bridge without.
    const multicastSnooping = false
    const made = links.add({ kind: 'bridge', name, mtu, address, multicastSnooping, up: true })
    // Another process may make it at this moment.
    await courier.run(netlink, made).catch(unless('EEXIST'))
    bridge = await courier.run(netlink, links.get(name))
    repaired.push(`bridge ${name}`)
  }
  const differs = !bridge.up || bridge.mtu !== mtu || bridge.promiscuous !== promiscuous
  if (differs) {
    await courier.run(netlink, links.set(bridge.index, { up: true, mtu, promiscuous }))
    repaired.push(`settings of bridge ${name}`)
  }
  return bridge
}

async function ensureAddresses(
  netlink: Netlink,
  courier: Courier,
  bridge: Link,
  plan: BridgePlan,
  repaired: string[],
) {
  const there = new Set(
    (await courier.run(netlink, addresses.list({ dev: bridge.index }))).map(({ address }) => address),
  )
  for (const { gateway, network } of plan.addresses) {
    const address = `${gateway}/${network.prefixLength}`
    if (there.has(address)) continue
    await courier.run(netlink, addresses.replace({ dev: bridge.index, address, noDad: network.family === 6 }))
    repaired.push(`address ${address}`)
  }
  const reached = new Set(
    (await courier.run(netlink, routes.list({ dev: bridge.index }))).map(({ destination }) => destination),
  )
  for (const { gateway, network } of plan.addresses) {
    const destination = formatCidr(network)
    if (reached.has(destination)) continue
    const source = network.family === 4 ? { source: gateway } : {}
    await courier.run(netlink, routes.replace({ destination, dev: bridge.index, ...source }))
    repaired.push(`route ${destination}`)
  }
}

/** The smallest MTU of the links that may carry pods' packets on, as the kubelet chose it. */
export async function defaultMtu(netlink: Netlink, courier: Courier): Promise<number> {
  const all = await courier.run(netlink, links.list())
  const candidates = all
    .filter((link) => link.up && !link.loopback && !link.pointToPoint && link.mtu >= 576)
    .filter((link) => link.kind !== 'bridge' && link.kind !== 'ifb' && !isPodLinkName(link.name))
    .map(({ mtu }) => mtu)
  return candidates.length > 0 ? Math.min(...candidates) : 1460
}

const bridgeMac = ({ addresses: [first] }: BridgePlan) => macFor(first?.gateway ?? '0.0.0.0')

/** A MAC address that follows from the IP address: a neighbour that knew the address's last owner still finds it. */
export function macFor(address: string): string {
  const bytes = encodeIp(address).subarray(-4).toString('hex')
  return `0a:58:${bytes.replace(/(..)(?=.)/g, '$1:')}`
}
