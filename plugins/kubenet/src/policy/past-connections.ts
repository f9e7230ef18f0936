import { encodeIp } from '@podwire/netlink/transport'
import type { Firewall } from '../firewall/firewall.ts'
import { familyOf } from '../ipam/cidr.ts'
import type { PodRecord } from '../pod-record.ts'
import { passes, triedBy } from './connections.ts'
import { hasElement } from './in-kernel.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import { groupSet, ledTo } from './objects.ts'

/** Connections that the kernel lets go on, as they began before a pod had the policy that it has. */
export interface PastConnections {
  /** What whoever had the addresses before had begun must not go on for this pod. */
  forget(pod: PodRecord): Promise<void>
  /** What the pod's policy doesn't allow any more must not go on. */
  cut(pod: PodRecord, policy: KernelPolicy, link: string): Promise<void>
}

interface PastConnectionsContext {
  readonly firewall: Firewall
  /** Addresses of the host itself. */
  hostAddresses(): Promise<ReadonlySet<string>>
}

export function createPastConnections({ firewall, hostAddresses }: PastConnectionsContext): PastConnections {
  return {
    async forget(pod) {
      const own = addressesOf(pod)
      await firewall.forgetConnections((connection) => triedBy(connection, own).length > 0)
    },
    async cut(pod, policy, link) {
      const own = addressesOf(pod)
      const hosts = await hostAddresses()
      await firewall.forgetConnections((connection) =>
        triedBy(connection, own).some(
          (tried) =>
            !passes(policy.policy, tried, {
              isHost: (address) => hosts.has(address),
              has(direction, list, index, address) {
                const set = groupSet(direction, list, index, familyOf(address) ?? 4, policy)
                const isOfNames = policy.policy[direction]?.[list][index]?.kind === 'names'
                const key = encodeIp(address)
                return hasElement(firewall, set, isOfNames ? ledTo(link, key) : key)
              },
            }),
        ),
      )
    },
  }
}

const addressesOf = ({ addresses }: PodRecord) => addresses.map(({ address }) => address)
