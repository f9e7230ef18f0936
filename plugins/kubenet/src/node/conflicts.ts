import { CLUSTER_LINK_ALIAS } from '@podwire/api'
import { addresses, links, routes } from '@podwire/netlink'
import type { HostLink } from '../datapath/datapath.ts'
import { type AddressRange, overlaps, parseCidr } from '../ipam/cidr.ts'
import type { Requests } from '../kernel/requests.ts'

interface Use {
  readonly range: AddressRange
  /** Index of the link. */
  readonly dev: number
  readonly text: string
  /** By a gateway, and so not on the link itself. */
  readonly isBeyond: boolean
  /** Of an address: who gave it. */
  readonly protocol?: number | undefined
}

/**
 * What of the host's routes and addresses has addresses of these ranges, in a phrase; undefined when they are free. A route by
 * a gateway to a larger network is none: what is more exact wins.
 * @param isOwn whether a link leads to the pods themselves; or an address there, given who gave it, is their gateway
 */
export async function conflictWith(
  kernel: Requests,
  ranges: readonly AddressRange[],
  isOwn: (link: HostLink, addressProtocol?: number) => boolean,
): Promise<string | undefined> {
  const families = new Set(ranges.map(({ family }) => family))
  const uses = (await usesOf(kernel, families)).filter((use) =>
    ranges.some((range) => isInTheWay(use, range)),
  )
  if (uses.length === 0) return undefined
  const byIndex = new Map((await kernel.run(links.list())).map((link) => [link.index, link]))
  for (const { dev, text, protocol } of uses) {
    const link = byIndex.get(dev)
    if (link && link.alias !== CLUSTER_LINK_ALIAS && !isOwn(link, protocol)) return `${text} on ${link.name}`
  }
  return undefined
}

const isInTheWay = ({ range, isBeyond }: Use, wanted: AddressRange) =>
  overlaps(range, wanted) && !(isBeyond && contained(wanted, range))

/** Whether all of the one is in the other, which is larger. */
const contained = (one: AddressRange, other: AddressRange) =>
  other.first <= one.first && one.last <= other.last && other.last - other.first > one.last - one.first

async function usesOf(kernel: Requests, families: ReadonlySet<4 | 6>): Promise<Use[]> {
  const isWanted = (text: string) => families.has(text.includes(':') ? 6 : 4)
  const ways = (await kernel.run(routes.list())).flatMap(({ destination, dev, gateway, type }): Use[] => {
    const range = type === 'unicast' && isWanted(destination) ? parseCidr(destination) : undefined
    if (!range || dev === undefined) return []
    const text = `route ${destination}${gateway === undefined ? '' : ` via ${gateway}`}`
    return [{ range, dev, text, isBeyond: gateway !== undefined }]
  })
  const own = (await kernel.run(addresses.list())).flatMap(({ address, dev, protocol }): Use[] => {
    const bits = address.includes(':') ? 128 : 32
    const range = isWanted(address) ? parseCidr(`${address.split('/')[0]}/${bits}`) : undefined
    return range ? [{ range, dev, text: `address ${address}`, isBeyond: false, protocol }] : []
  })
  return [...ways, ...own]
}
