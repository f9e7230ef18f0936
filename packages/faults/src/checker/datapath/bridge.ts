import { readSysctl } from '@podwire/netlink'
import type { Observed } from '../observed.ts'
import type { DatapathChecker, DatapathSettings } from './datapath.ts'

/** Pods as ports of one bridge, which turns frames round at a port. */
export function bridgeChecker({ bridge: name, gateways }: DatapathSettings): DatapathChecker {
  const bridgeOf = ({ links }: Observed) => links.find((link) => link.name === name)

  return {
    sharedDifferences(observed) {
      const bridge = bridgeOf(observed)
      if (!bridge) return [`bridge ${name} is gone`]
      const differences: string[] = []
      if (!bridge.up) differences.push(`bridge ${name} is down`)
      for (const gateway of gateways)
        if (!observed.addresses.some(({ dev, address }) => dev === bridge.index && address === gateway))
          differences.push(`bridge ${name} lacks ${gateway}`)
      const reached = observed.routes.filter(({ dev, type }) => dev === bridge.index && type === 'unicast')
      for (const family of ['inet', 'inet6'] as const)
        if (
          gateways.some((gateway) => gateway.includes(':') === (family === 'inet6')) &&
          !reached.some((route) => route.family === family && !route.destination.startsWith('fe80:'))
        )
          differences.push(`no ${family} route leads to bridge ${name}`)
      for (const [setting, wanted] of [
        ['ipv4/conf/%/route_localnet', '1'],
        ['ipv4/conf/%/accept_redirects', '0'],
        ['ipv6/conf/%/accept_ra', '0'],
      ] as const) {
        const found = readSysctl(`net/${setting.replace('%', name)}`)
        if (found !== wanted) differences.push(`${setting.replace('%', name)} is ${found}`)
      }
      return differences
    },
    leftovers: (observed) => (bridgeOf(observed) ? [`bridge ${name} is left`] : []),
    linkDifferences(observed, link) {
      if (link.master !== bridgeOf(observed)?.index) return [`${link.name} is not a port of ${name}`]
      return link.bridgePort?.hairpin ? [] : [`hairpin of ${link.name} is off`]
    },
    addressesInside: ({ addresses }) =>
      addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    insideDifferences: ({ routes }, { addresses }) =>
      addresses.flatMap(({ gateway }) =>
        routes.some((route) => route.destination === 'default' && route.gateway === gateway)
          ? []
          : [`it has no default route via ${gateway}`],
      ),
  }
}
