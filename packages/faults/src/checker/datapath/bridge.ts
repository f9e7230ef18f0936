import { readSysctl } from '@podwire/netlink'
import type { Observed } from '../observed.ts'
import type { DatapathChecker } from './datapath.ts'

/** Pods as ports of one bridge. */
export interface BridgeSettings {
  readonly kind: 'bridge'
  readonly bridge: string
  /** Addresses of the bridge with prefix length, the pods' gateways. */
  readonly gateways: readonly string[]
  readonly hairpin: boolean
}

export function bridgeChecker({ bridge: name, gateways, hairpin }: BridgeSettings): DatapathChecker {
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
      if (readSysctl(`net/ipv4/conf/${name}/route_localnet`) !== (observed.firewall ? '1' : '0'))
        differences.push(`route_localnet of ${name} does not fit the firewall`)
      if (readSysctl('net/ipv4/ip_forward') !== '1') differences.push('the host does not forward')
      return differences
    },
    linkDifferences(observed, link) {
      if (link.master !== bridgeOf(observed)?.index) return [`${link.name} is not a port of ${name}`]
      return (link.bridgePort?.hairpin ?? false) === hairpin ? [] : [`hairpin of ${link.name} is wrong`]
    },
    insideDifferences: ({ routes }, { addresses }) =>
      addresses.flatMap(({ gateway }) =>
        routes.some((route) => route.destination === 'default' && route.gateway === gateway)
          ? []
          : [`it has no default route via ${gateway}`],
      ),
  }
}
