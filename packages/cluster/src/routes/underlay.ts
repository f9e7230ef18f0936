import { type Address, addresses, type Link, links, type Netlink, routes } from '@podwire/netlink'
import { errors } from '../errors.ts'
import { canonicalAddress, formatSubnet, parseSubnet } from '../layout/range.ts'

/** The link by which this node reaches the others, and its addresses there. */
export interface Underlay {
  readonly dev: number
  readonly name: string
  /** In bytes. */
  readonly mtu: number
  readonly publicIP?: string
  readonly publicIPv6?: string
  /** The networks that the link is in: who has an address of them is reached without a router. */
  readonly onLink: readonly string[]
  /** All addresses of this node, whatever link has them: no other node is reached by one. */
  readonly own: readonly string[]
}

export interface UnderlayOptions {
  readonly publicIP?: string | undefined
  readonly publicIPv6?: string | undefined
  readonly interface?: string | undefined
}

/**
 * The link that has the address, or is named; else the one of the default route. An address that is not of any link here, as behind
 * a router that translates, is taken as it is, and the link is that of the default route.
 * @throws PodwireError `NO_PUBLIC_ADDRESS`
 */
export async function findUnderlay(netlink: Netlink, options: UnderlayOptions): Promise<Underlay> {
  const all = await netlink.run(links.list())
  const there = await netlink.run(addresses.list())
  const link = await linkOf(netlink, options, all, there)
  const own = there.filter(
    ({ dev, scope, tentative }) => dev === link.index && scope === 'global' && !tentative,
  )
  const first = (family: 'inet' | 'inet6') => own.find((one) => one.family === family)?.address.split('/')[0]
  const publicIP = options.publicIP ?? first('inet')
  const publicIPv6 = options.publicIPv6 === undefined ? first('inet6') : canonicalAddress(options.publicIPv6)
  if (publicIP === undefined && publicIPv6 === undefined)
    throw errors.NO_PUBLIC_ADDRESS({ reason: `link ${link.name} has none` })
  return {
    dev: link.index,
    name: link.name,
    mtu: link.mtu,
    ...(publicIP === undefined ? {} : { publicIP }),
    ...(publicIPv6 === undefined ? {} : { publicIPv6 }),
    onLink: own.flatMap(({ address, peer }) => {
      const subnet = parseSubnet(peer === undefined ? address : `${peer}/${peer.includes(':') ? 128 : 32}`)
      return subnet ? [formatSubnet(subnet)] : []
    }),
    own: there.map(({ address }) => canonicalAddress(address.split('/')[0] ?? '')),
  }
}

async function linkOf(
  netlink: Netlink,
  { publicIP, publicIPv6, interface: name }: UnderlayOptions,
  all: readonly Link[],
  there: readonly Address[],
): Promise<Link> {
  if (name !== undefined) {
    const named = all.find((link) => link.name === name)
    if (!named) throw errors.NO_PUBLIC_ADDRESS({ reason: `there is no link ${name}` })
    return named
  }
  const wanted = [publicIP, publicIPv6 && canonicalAddress(publicIPv6)]
  const having = there.find(({ address }) => wanted.includes(address.split('/')[0]))
  const found = all.find(({ index }) => index === having?.dev)
  if (found) return found
  const defaults = (await netlink.run(routes.list())).filter(({ destination }) => destination === 'default')
  const [way] = defaults.sort((a, b) => (a.metric ?? 0) - (b.metric ?? 0))
  const link = all.find(({ index }) => index === way?.dev)
  if (!link) throw errors.NO_PUBLIC_ADDRESS({ reason: 'there is no default route whose link could have it' })
  return link
}
