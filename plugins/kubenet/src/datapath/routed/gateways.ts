import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, ignoring, messageOf } from '@podwire/api'
import { readFileIfThere, removeIfThere, writeFileWhole } from '@podwire/api/files'
import { addresses, links, routes } from '@podwire/netlink'
import { formatCidr, parseCidr } from '../../ipam/cidr.ts'
import type { PodNetwork } from '../../ipam/network.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import type { Ensured } from '../datapath.ts'
import { hostPrefix } from './link.ts'

export const LOOPBACK = 1
/** Says of an address on lo that a host of pods gave it: `ip address` shows `proto 0x50`. */
export const GATEWAY_PROTOCOL = 80

// What has a smaller metric is chosen first: a bridge's route to the same network.
const lastResort = 1_000_000

/**
 * The host's address in each network of pods, on lo, and a route that ends what goes to a pod that isn't there: it would leave
 * by the host's default route.
 */
export interface Gateways {
  /** In what the host lacks these, each in a phrase. */
  differences(networks: readonly PodNetwork[]): Promise<string[]>
  /** Gives the host these alone. */
  ensure(networks: readonly PodNetwork[]): Promise<Pick<Ensured, 'repaired' | 'refused'>>
  /** Whether there are any. */
  areThere(): boolean
  remove(): Promise<void>
}

/**
 * @param stateDir where they are written down before they are given
 * @param onOpened until now packets to addresses of nobody went by the host's other routes
 */
export function createGateways(kernel: Kernel, stateDir: string, onOpened: () => void): Gateways {
  const file = join(stateDir, 'routed')
  /** As `GATEWAY/PREFIXLENGTH`. */
  const given = () => (readFileIfThere(file) ?? '').split('\n').filter(Boolean)

  async function give(network: PodNetwork, refused: string[]): Promise<string[]> {
    const { gateway, family } = network
    const destination = formatCidr(network)
    const address = {
      dev: LOOPBACK,
      address: hostPrefix(gateway),
      noDad: family === 6,
      noPrefixRoute: true,
      protocol: GATEWAY_PROTOCOL,
    }
    const made: string[] = []
    try {
      if (await isNew(addresses.add(address))) made.push(`address ${hostPrefix(gateway)}`)
    } catch (error) {
      // lo has no IPv6, which is the host's business.
      if (errnoOf(error) !== 'EACCES') throw error
      refused.push(`pods don't reach the host by ${gateway}: ${messageOf(error)}`)
    }
    const end = routes.add({ destination, type: 'unreachable', metric: lastResort })
    if (await isNew(end)) {
      made.push(`route ${destination}`)
      onOpened()
    }
    return made
  }

  // Asking for it is less than looking whether it is there, among thousands of routes.
  const isNew = (request: ReturnType<typeof routes.add>) =>
    kernel.run(request).then(
      () => true,
      (error) => ignoring('EEXIST')(error) ?? false,
    )

  async function take(cidr: string) {
    const network = parseCidr(cidr)
    const [gateway = ''] = cidr.split('/')
    if (!network) return
    const gone = ignoring('EADDRNOTAVAIL', 'ESRCH', 'EACCES')
    await kernel.run(addresses.del({ dev: LOOPBACK, address: hostPrefix(gateway) })).catch(gone)
    const end = { destination: formatCidr(network), type: 'unreachable', metric: lastResort } as const
    await kernel.run(routes.del(end)).catch(gone)
  }

  return {
    async differences(networks) {
      const differences: string[] = []
      if (!(await kernel.run(links.brief(LOOPBACK))).up) differences.push('lo is down')
      const own = await kernel.run(addresses.list({ dev: LOOPBACK }))
      const ends = (await kernel.runOffLoop(routes.list())).filter(({ type }) => type === 'unreachable')
      for (const network of networks) {
        const address = hostPrefix(network.gateway)
        const destination = formatCidr(network)
        if (!own.some((one) => one.address === address)) differences.push(`lo lacks ${address}`)
        if (!ends.some((one) => one.destination === destination))
          differences.push(`the route that ends ${destination} is gone`)
      }
      return differences
    },
    async ensure(networks) {
      const wanted = networks.map(({ gateway, prefixLength }) => `${gateway}/${prefixLength}`)
      const before = given()
      const all = [...new Set([...before, ...wanted])]
      if (all.length > before.length) writeFileWhole(file, all.join('\n'))
      const repaired: string[] = []
      const refused: string[] = []
      // In a network namespace that somebody has just made it is down.
      if (!(await kernel.run(links.brief(LOOPBACK))).up) {
        await kernel.run(links.set(LOOPBACK, { up: true }))
        repaired.push('link lo')
      }
      for (const network of networks) repaired.push(...(await give(network, refused)))
      for (const cidr of before) if (!wanted.includes(cidr)) await take(cidr)
      if (all.length > wanted.length) writeFileWhole(file, wanted.join('\n'))
      return { repaired, refused }
    },
    areThere: () => existsSync(file),
    async remove() {
      for (const cidr of given()) await take(cidr)
      removeIfThere(file)
    },
  }
}
