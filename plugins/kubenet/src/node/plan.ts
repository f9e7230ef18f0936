import type { HairpinMode } from '@podwire/api'
import type { FirewallPlan } from '../firewall/layout.ts'
import { type AddressRange, contains, parseCidr } from '../ipam/cidr.ts'
import type { Claims } from '../ipam/claims.ts'
import type { PodNetwork } from '../ipam/network.ts'
import type { Sysctl } from '../kernel/sysctls.ts'
import { LINK_PREFIX } from '../ownership/pod-links.ts'
import type { PodRecord } from '../pod-record.ts'
import { forwardingSysctls } from './sysctls.ts'

/** What all pods share, as it should be. */
export interface SharedPlan {
  /** Of the pod CIDR, and of pods of earlier ones. */
  readonly networks: readonly PodNetwork[]
  readonly families: ReadonlySet<4 | 6>
  readonly forwarding: readonly Sysctl[]
  firewall(dropDuplicatesFrom: string | undefined): FirewallPlan
}

export interface PlanInput {
  /** Of the pod CIDR. */
  readonly networks: readonly PodNetwork[]
  readonly claims: Claims
  podOf(sandboxId: string): PodRecord | undefined
  readonly direct: readonly AddressRange[] | undefined
  readonly hairpinMode: HairpinMode
  /** How many a pod may have open. */
  readonly connections: number
}

export function planShared({
  networks,
  claims,
  podOf,
  direct,
  hairpinMode,
  connections,
}: PlanInput): SharedPlan {
  const all = [...networks, ...earlierNetworks(networks, claims, podOf)]
  const families = new Set(all.map(({ family }) => family))
  return {
    networks: all,
    families,
    forwarding: forwardingSysctls(families),
    firewall: (dropDuplicatesFrom) => ({
      linkPrefix: LINK_PREFIX,
      networks: all,
      direct,
      hairpin: hairpinMode !== 'none',
      connections,
      dropDuplicatesFrom,
    }),
  }
}

/** Networks that pods were given addresses of before the pod CIDR changed. */
function earlierNetworks(
  networks: readonly PodNetwork[],
  claims: Claims,
  podOf: (sandboxId: string) => PodRecord | undefined,
): PodNetwork[] {
  const earlier = new Map<string, PodNetwork>()
  for (const address of claims.claimed()) {
    if (networks.some((network) => contains(network, address))) continue
    const sandboxId = claims.ownerOf(address)
    const own = podOf(sandboxId ?? '')?.addresses.find((candidate) => candidate.address === address)
    const cidr = own && parseCidr(`${own.address}/${own.prefixLength}`)
    if (own && cidr) earlier.set(own.gateway, { ...cidr, gateway: own.gateway })
  }
  return [...earlier.values()]
}
