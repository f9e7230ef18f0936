import { ignoring, podKey } from '@podwire/api'
import {
  addresses,
  links,
  type NetworkChange,
  type PendingChanges,
  readSysctl,
  routes,
} from '@podwire/netlink'
import { hasIpv6 } from '../../kernel/ipv6.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import type { PodLinks } from '../../ownership/pod-links.ts'
import type { Datapath } from '../datapath.ts'
import { describeInside, insideDifferences, insideIndex } from '../inside.ts'
import { createGateways, GATEWAY_PROTOCOL, LOOPBACK } from './gateways.ts'
import {
  configureInside,
  connectLink,
  GATEWAY_MAC,
  hostPrefix,
  insideOf,
  known,
  type LinkSettings,
  linkDifferences,
  mendLink,
} from './link.ts'

/** Every pod at the end of a link of its own, with a route to it: there is no wire that pods share. */
export function createRoutedDatapath(
  kernel: Kernel,
  podLinks: PodLinks,
  stateDir: string,
  onOpened: () => void,
): Datapath {
  const gateways = createGateways(kernel, stateDir, onOpened)
  let isLoopbackRouted: boolean | undefined
  let isIpv6Off = false
  let changes: PendingChanges | undefined
  // Until it was put back.
  let isLost = false

  const hostLink = ({ sandboxId }: { sandboxId: string }) => kernel.findLink(podLinks.names(sandboxId).host)
  const settings = (): LinkSettings => ({ isLoopbackRouted: isLoopbackRouted === true, isIpv6Off })

  /** With an address the kernel also forgets the routes that name it as their source. */
  function hasLost(): boolean {
    const seen = changes?.take()
    isLost ||= seen === undefined || seen.some(isLossOfGateway)
    return isLost
  }

  async function setLoopbackRoutes(value: 0 | 1) {
    const all = await kernel.runOffLoop(links.list({ kind: 'veth' }))
    const wrong = all.filter(
      (link) => link.master === undefined && podLinks.isOwn(link) && link.ipv4?.route_localnet !== value,
    )
    if (wrong.length > 0)
      await kernel.batch(wrong.map(({ index }) => links.set(index, { ipv4: { route_localnet: value } })))
  }

  return {
    async inspect() {},
    compare: async ({ networks }) => ({ differences: await gateways.differences(networks) }),
    async ensure({ networks }) {
      changes ??= kernel.watch(['address'])
      // What is lost from now on is told of; what was lost before is seen now.
      changes.take()
      const ensured = await gateways.ensure(networks)
      isIpv6Off = hasIpv6() && readSysctl('net/ipv6/conf/default/disable_ipv6') === '1'
      isLost = false
      const own = await kernel.run(addresses.list())
      return { ...ensured, taken: own.map(({ address }) => address.replace(/\/.*/, '')) }
    },
    isIntact: async () => !hasLost(),
    isThere: gateways.areThere,
    remove: gateways.remove,
    async routeLoopback(isGuarded) {
      const before = isLoopbackRouted
      isLoopbackRouted = isGuarded
      // Links of an earlier process that are closed though it is guarded now are mended by a repair; those that are open though
      // it isn't are closed at once.
      if (before !== isGuarded && !(before === undefined && isGuarded))
        await setLoopbackRoutes(isGuarded ? 1 : 0)
      return []
    },
    async restore(pods) {
      const all = await kernel.runOffLoop(links.list({ kind: 'veth' }))
      const there = new Map(all.map((link) => [link.name, link]))
      const what = await known(kernel)
      const repaired: string[] = []
      const missing: string[] = []
      for (const pod of pods) {
        const { host } = podLinks.names(pod.sandboxId)
        const link = there.get(host)
        if (!link) {
          missing.push(`link ${host} of pod ${podKey(pod)}`)
          continue
        }
        const differences = linkDifferences(link, pod, settings(), what)
        if (differences.length === 0) continue
        // It may have gone meanwhile.
        await mendLink(kernel, settings(), pod, link).catch(ignoring('ENODEV'))
        repaired.push(...differences.map((difference) => `pod ${podKey(pod)}: ${difference}`))
      }
      return { repaired, missing }
    },
    isOwn: (link, addressProtocol) =>
      podLinks.isOwn(link) || (link.name === 'lo' && addressProtocol === GATEWAY_PROTOCOL),

    connect: (pod, sandbox) => connectLink(kernel, podLinks, settings(), pod, sandbox),
    async differences(pod) {
      const link = await hostLink(pod)
      if (!link) return [`its link ${podLinks.names(pod.sandboxId).host} is gone`]
      const expected = isLoopbackRouted === undefined ? undefined : settings()
      const outside = linkDifferences(link, pod, expected, await known(kernel, link.index))
      return [...outside, ...(await insideDifferences(kernel, pod, insideOf(pod)))]
    },
    async mend(pod, sandbox) {
      const link = await hostLink(pod)
      const inside = link && (await insideIndex(kernel, pod))
      if (!link || inside === undefined) {
        await this.disconnect(pod)
        return connectLink(kernel, podLinks, settings(), pod, sandbox)
      }
      await mendLink(kernel, settings(), pod, link)
      await configureInside(kernel, pod, sandbox, inside)
      return link.index
    },
    describe: async (pod) =>
      describeInside(pod, insideOf(pod), { name: podLinks.names(pod.sandboxId).host, mac: GATEWAY_MAC }),
    async disconnect({ sandboxId, addresses: own = [] }) {
      const link = await hostLink({ sandboxId })
      if (!link) return
      // Cut off at once; and the kernel need not look through everybody's routes when the link goes.
      const ways = own.map(({ address }) => routes.del({ destination: hostPrefix(address), dev: link.index }))
      if (ways.length > 0) await kernel.batch(ways).catch(ignoring('ESRCH', 'ENODEV'))
      await kernel.removeLinks([link.name])
    },
  }
}

const isLossOfGateway = ({ change, ...changed }: NetworkChange) =>
  change === 'deleted' && changed.what === 'address' && changed.address.dev === LOOPBACK
