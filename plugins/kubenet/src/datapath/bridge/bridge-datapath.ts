import { errnoOf, type HairpinMode, ignoring, podKey } from '@podwire/api'
import {
  addresses,
  links,
  type NetworkChange,
  neighbours,
  type PendingChanges,
  readSysctl,
} from '@podwire/netlink'
import { hasIpv6 } from '../../kernel/ipv6.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { ensureSysctls, type Sysctl } from '../../kernel/sysctls.ts'
import { parseMark } from '../../ownership/mark.ts'
import type { PodLinks } from '../../ownership/pod-links.ts'
import type { Datapath, PodLink } from '../datapath.ts'
import { describeInside, insideDifferences, insideIndex } from '../inside.ts'
import { isPodMac } from '../mac.ts'
import { bridgeDifferences, ensureBridge, findBridge, gatewayOf } from './bridge.ts'
import type { BridgeOwner } from './bridge-owner.ts'
import { configureInside, insideOf } from './inside.ts'
import { connectPort, mendPort, type PortSettings, portDifferences } from './port.ts'

export interface BridgeOptions {
  readonly bridge: string
  readonly hairpinMode: HairpinMode
}

/** A bridge may have pods beside it that are not on it, though their addresses are of the network that those on it look for there. */
export interface BridgeDatapath extends Datapath {
  /** Has the host answer on the bridge for these pods. What could not be set, each in a phrase. */
  answerFor(pods: readonly Pick<PodLink, 'addresses'>[]): Promise<readonly string[]>
  answerNoMore(addresses: PodLink['addresses']): Promise<void>
}

/** Every pod a port of one bridge, which is their gateway. */
export function createBridgeDatapath(
  kernel: Kernel,
  podLinks: PodLinks,
  owner: BridgeOwner,
  { bridge: name, hairpinMode }: BridgeOptions,
): BridgeDatapath {
  const promiscuous = hairpinMode === 'promiscuous-bridge'
  const settings: { -readonly [Key in keyof PortSettings]: PortSettings[Key] } = { bridge: 0, hairpin: false }
  let changes: PendingChanges | undefined
  // Until it was put back.
  let isLost = false

  const hostLink = (pod: Pick<PodLink, 'sandboxId'>) => kernel.findLink(podLinks.names(pod.sandboxId).host)

  /** The bridge as {@link Datapath.ensure} left it, also where an earlier process made it. */
  async function found(): Promise<PortSettings> {
    if (settings.bridge !== 0) return settings
    return { bridge: (await findBridge(kernel, name))?.index ?? 0, hairpin: needsHairpin(hairpinMode) }
  }

  /** Whether the kernel told of an address or a route of the bridge that went. */
  function hasLost(): boolean {
    const seen = changes?.take()
    isLost ||= seen === undefined || seen.some((change) => isLossOf(settings.bridge, change))
    return isLost
  }

  async function addressesOfOthers() {
    const dev = settings.bridge
    const own = await kernel.run(addresses.list({ dev }))
    const seen = await kernel.run(neighbours.list({ dev }))
    return [
      ...own.map(({ address }) => address.replace(/\/.*/, '')),
      ...seen.filter(({ lladdr }) => lladdr && !isPodMac(lladdr)).map(({ address }) => address),
    ]
  }

  return {
    async inspect() {
      await owner.check(name, await findBridge(kernel, name))
    },
    async compare(plan) {
      const bridge = await findBridge(kernel, name)
      const differences = await bridgeDifferences(kernel, { ...plan, name, promiscuous }, bridge)
      return { differences, duplicatesFrom: promiscuous ? bridge?.address : undefined }
    },
    async ensure(plan) {
      const found = await findBridge(kernel, name)
      await owner.check(name, found)
      // What is lost from now on is told of; what was lost before is seen now.
      changes ??= kernel.watch(['address', 'route'])
      changes.take()
      const gateways = plan.networks.map(gatewayOf)
      const earlierGateways = owner.take(name, gateways)
      const { bridge, ...ensured } = await ensureBridge(kernel, {
        ...plan,
        name,
        promiscuous,
        alias: !found?.alias || parseMark(found.alias) ? owner.alias() : undefined,
        earlierGateways,
      })
      owner.keep(name, gateways)
      settings.bridge = bridge.index
      settings.hairpin = needsHairpin(hairpinMode)
      isLost = false
      const duplicatesFrom = promiscuous ? bridge.address : undefined
      return { ...ensured, taken: await addressesOfOthers(), duplicatesFrom }
    },
    async isIntact() {
      if (hasLost()) return false
      const bridge = await kernel.run(links.brief(name)).catch(ignoring('ENODEV'))
      // Another process may have made it anew.
      return bridge?.up === true && bridge.index === settings.bridge
    },
    isThere: owner.isThere,
    async remove() {
      const bridge = await findBridge(kernel, name)
      await owner.check(name, bridge)
      if (bridge && parseMark(bridge.alias)) await kernel.removeLinks([name])
      owner.forget()
      settings.bridge = 0
    },
    routeLoopback: async (isGuarded) =>
      ensureSysctls([[`net/ipv4/conf/${name}/route_localnet`, isGuarded ? '1' : '0']]).refused,
    async restore(pods) {
      const there = new Map(
        (await kernel.runOffLoop(links.list({ kind: 'veth' }))).map((link) => [link.name, link]),
      )
      const repaired: string[] = []
      const missing: string[] = []
      for (const pod of pods) {
        const host = podLinks.names(pod.sandboxId).host
        const link = there.get(host)
        if (!link) {
          missing.push(`link ${host} of pod ${podKey(pod)}`)
          continue
        }
        const differences = portDifferences(link, settings)
        if (differences.length === 0) continue
        try {
          await mendPort(kernel, link, settings)
        } catch (error) {
          // It may have gone meanwhile; the same is said of a bridge that has.
          if (errnoOf(error) !== 'ENODEV' || (await hostLink(pod))) throw error
          continue
        }
        repaired.push(...differences.map((difference) => `pod ${podKey(pod)}: ${difference}`))
      }
      return { repaired, missing }
    },
    isOwn: (link) => link.name === name || podLinks.isOwn(link),

    connect: (pod, sandbox) => connectPort(kernel, podLinks, settings, pod, sandbox),
    async differences(pod) {
      const link = await hostLink(pod)
      if (!link) return [`its link ${podLinks.names(pod.sandboxId).host} is gone`]
      return [
        ...portDifferences(link, await found()),
        ...(await insideDifferences(kernel, pod, insideOf(pod))),
      ]
    },
    async mend(pod, sandbox) {
      const link = await hostLink(pod)
      const inside = link && (await insideIndex(kernel, pod))
      if (!link || inside === undefined) {
        await this.disconnect(pod)
        return connectPort(kernel, podLinks, settings, pod, sandbox)
      }
      if (portDifferences(link, settings).length > 0) await mendPort(kernel, link, settings)
      await configureInside(kernel, pod, sandbox, inside)
      return link.index
    },
    async describe(pod) {
      const link = await hostLink(pod)
      return describeInside(
        pod,
        insideOf(pod),
        link && { name: link.name, ...(link.address ? { mac: link.address } : {}) },
      )
    },
    disconnect: (pod) => kernel.removeLinks([podLinks.names(pod.sandboxId).host]),

    async answerFor(pods) {
      const dev = settings.bridge
      const own = pods.flatMap((pod) => pod.addresses)
      if (own.length === 0 || dev === 0) return []
      const { refused } = ensureSysctls(answeringSysctls(name))
      const answers = own.map(({ address }) => neighbours.replace({ dev, address, proxy: true }))
      // Another process may take the bridge away at this moment, with its last pod, and who makes one anew answers for all pods.
      await kernel.batch(answers).catch(ignoring('ENODEV'))
      return refused
    },
    async answerNoMore(own) {
      const dev = (await found()).bridge
      const entries = own.map(({ address }) => neighbours.del({ dev, address, proxy: true }))
      if (dev !== 0) await kernel.batch(entries).catch(ignoring('ENOENT', 'ENODEV'))
    },
  }
}

// The kernel puts such an answer off for as much as 0.8 s, in case that who is asked for answers too.
const answeringSysctls = (name: string): Sysctl[] => [
  [`net/ipv4/neigh/${name}/proxy_delay`, '0'],
  ...(hasIpv6()
    ? ([
        [`net/ipv6/neigh/${name}/proxy_delay`, '0'],
        [`net/ipv6/conf/${name}/proxy_ndp`, '1'],
      ] as const)
    : []),
]

const MAIN_TABLE = 254

function isLossOf(bridge: number, { change, ...changed }: NetworkChange): boolean {
  if (change !== 'deleted') return false
  if (changed.what === 'address') return changed.address.dev === bridge
  return changed.what === 'route' && changed.route.dev === bridge && changed.route.table === MAIN_TABLE
}

/**
 * A promiscuous bridge is enough where packets between ports of a bridge are none of the firewall's business. Where they
 * are, the kernel (since 6.9) forgets the connection of the copy that the bridge itself gets: the port must turn it round.
 */
function needsHairpin(mode: HairpinMode): boolean {
  if (mode !== 'promiscuous-bridge') return mode === 'hairpin-veth'
  try {
    return ['iptables', 'ip6tables'].some((table) => readSysctl(`net/bridge/bridge-nf-call-${table}`) === '1')
  } catch {
    return false
  }
}
