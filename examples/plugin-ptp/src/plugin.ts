import {
  type CIDR,
  capabilitySet,
  type Host,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
  type NetworkPlugin,
  type PodNetworkStatus,
  parsePodCIDR,
  podKey,
} from '@podwire/api'
import { writeSysctl } from '@podwire/netlink'
import { addressesOfPod, linkPod, problemsOfPod, unlinkAllBut, unlinkPod } from './link.ts'

/** `example/ptp`: a point-to-point link for each pod. */
export function ptpNetworkPlugin(): NetworkPlugin {
  let host: Host | undefined
  let mtu = 0
  let ranges: readonly CIDR[] = []

  return {
    name: 'example/ptp',
    async init(given, options) {
      host = given
      mtu = options.mtu
      // Pods reach each other, and the world, through this node.
      for (const family of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeSysctl(`net/${family}`, 1)
    },
    event(name, details) {
      const cidr = details[NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]
      if (name === NET_PLUGIN_EVENT_POD_CIDR_CHANGE) ranges = parsePodCIDR(String(cidr)) ?? []
    },
    capabilities: () => capabilitySet('dualStack', 'check', 'gc'),
    async setUpPod(pod, signal) {
      signal.throwIfAborted()
      assertKnown(ranges)
      if (problemsOfPod(pod, pod.netns).length > 0) {
        // Half of it, or what somebody changed, is made anew.
        await unlinkPod(pod)
        signal.throwIfAborted()
        await linkPod(pod, ranges, mtu)
      }
      return statusOf(addressesOfPod(pod))
    },
    tearDownPod: (pod) => unlinkPod(pod),
    getPodNetworkStatus: async (pod) => statusOf(addressesOfPod(pod)),
    status: async () => assertKnown(ranges),
    async checkPod(pod) {
      const problems = problemsOfPod(pod, await host?.getNetNS(pod.sandboxId))
      if (problems.length > 0) throw new Error(`pod ${podKey(pod)}: ${problems.join('; ')}`)
    },
    collectGarbage: (validSandboxIds) => unlinkAllBut(validSandboxIds),
  }
}

function statusOf(ips: readonly string[]): PodNetworkStatus | undefined {
  const [ip] = ips
  return ip === undefined ? undefined : { ip, ips }
}

function assertKnown(ranges: readonly CIDR[]): void {
  if (ranges.length === 0)
    throw new Error(
      'the pod CIDR is not known: set podCIDR in the configuration, such as 10.88.0.0/16,fd00:88::/64',
    )
}
