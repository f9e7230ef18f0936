import type { Link } from '@podwire/netlink'
import type { KubenetRecord, Observed } from '../observed.ts'
import type { DatapathChecker, DatapathSettings } from './datapath.ts'

/** Where pods send everything: nobody has these addresses. */
const linkGateway = (address: string) => (address.includes(':') ? 'fe80::1' : '169.254.1.1')
const gatewayMac = '0a:58:a9:fe:01:01'
const hostPrefix = (address: string) => `${address}/${address.includes(':') ? 128 : 32}`

/** Every pod at the end of a link of its own, with a route to it. */
export function routedChecker({ gateways }: DatapathSettings): DatapathChecker {
  const ownAddresses = gateways.map((gateway) => hostPrefix(gateway.replace(/\/.*/, '')))
  const onLoopback = ({ links, addresses }: Observed) => {
    const lo = links.find(({ name }) => name === 'lo')?.index
    return addresses.filter(({ dev }) => dev === lo).map(({ address }) => address)
  }

  return {
    sharedDifferences(observed) {
      const there = onLoopback(observed)
      const ends = observed.routes.filter(({ type }) => type === 'unreachable')
      const networks = new Set(ends.map(({ destination }) => destination.replace(/.*\//, '')))
      return [
        ...ownAddresses.filter((own) => !there.includes(own)).map((own) => `lo lacks ${own}`),
        ...gateways
          .filter((gateway) => !networks.has(gateway.replace(/.*\//, '')))
          .map((gateway) => `no route ends what goes to nobody in the network of ${gateway}`),
      ]
    },
    leftovers: (observed) =>
      onLoopback(observed)
        .filter((address) => ownAddresses.includes(address))
        .map((address) => `lo still has ${address}`),
    linkDifferences: (observed, link, record) => [
      ...settingDifferences(link),
      ...record.addresses.flatMap(({ address }) => wayDifferences(observed, link, record, address)),
    ],
    addressesInside: ({ addresses }) => addresses.map(({ address }) => hostPrefix(address)),
    insideDifferences: ({ links, routes, neighbours }, { addresses }) =>
      addresses.flatMap(({ address }) => {
        const gateway = linkGateway(address)
        const dev = links.find(({ name }) => name === 'eth0')?.index
        const isKnown = neighbours.some(
          (one) => one.dev === dev && one.address === gateway && one.lladdr === gatewayMac,
        )
        return [
          ...(routes.some((route) => route.destination === 'default' && route.gateway === gateway)
            ? []
            : [`it has no default route via ${gateway}`]),
          ...(isKnown ? [] : [`it does not know the neighbour ${gateway}`]),
        ]
      }),
  }
}

function settingDifferences({ name, master, arp, address, ipv4 }: Link): string[] {
  return [
    ...(master === undefined ? [] : [`${name} is a port of another link`]),
    ...(arp ? [`${name} speaks ARP`] : []),
    ...(address === gatewayMac ? [] : [`${name} has the MAC address ${address}`]),
    ...(ipv4?.rp_filter === 1 ? [] : [`${name} takes packets from any source`]),
    ...(ipv4?.route_localnet === 1 ? [] : [`${name} does not lead from the host's loopback to the pod`]),
  ]
}

function wayDifferences(observed: Observed, link: Link, record: KubenetRecord, address: string): string[] {
  const ways = observed.routes.filter(({ destination }) => destination === hostPrefix(address))
  const others = observed.neighbours.filter((one) => one.address === address && one.state === 'permanent')
  const primary = record.addresses[0]?.address ?? ''
  return [
    ...(ways.length === 1 && ways[0]?.dev === link.index
      ? []
      : [`${ways.length} routes lead to ${address}, not one by ${link.name}`]),
    ...(others.some(({ dev, lladdr }) => dev === link.index && lladdr === podMac(primary))
      ? []
      : [`${link.name} does not know the neighbour ${address}`]),
  ]
}

const podMac = (primary: string) =>
  ['0a', '58', ...primary.split('.').map((part) => Number(part).toString(16).padStart(2, '0'))].join(':')
