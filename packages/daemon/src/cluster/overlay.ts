import { type CIDR, parseCIDR, USE_DEFAULT_MTU } from '@podwire/api'
import type { ClusterShare } from '@podwire/cluster'
import type { LoadedConfig } from '@podwire/core'

/** A configuration with what this node has of its cluster: its pod CIDR, and how pods of all nodes reach each other. */
export function withShare(loaded: LoadedConfig, share: ClusterShare | undefined): LoadedConfig {
  if (!share) return loaded
  const { config } = loaded
  const { podCIDR, networks, mtu } = share
  return {
    ...loaded,
    config: {
      ...config,
      podCIDR,
      nonMasqueradeCIDR: withNetworks(config.nonMasqueradeCIDR, networks),
      mtu: config.mtu === USE_DEFAULT_MTU && mtu !== undefined ? mtu : config.mtu,
    },
  }
}

function withNetworks(nonMasqueradeCIDR: string, networks: readonly string[]): string {
  const isEverything = (cidr: CIDR | undefined) => cidr?.prefixLength === 0
  if (isEverything(parseCIDR(nonMasqueradeCIDR))) return nonMasqueradeCIDR
  return [...new Set([nonMasqueradeCIDR, ...networks])].join()
}
