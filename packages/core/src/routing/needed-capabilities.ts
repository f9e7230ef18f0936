import { isIPv6 } from 'node:net'
import { bandwidthOf, Capability, type Pod } from '@podwire/api'

/** The annotation that names further networks for a pod. Source: the Network Plumbing Working Group's specification. */
const NETWORKS_ANNOTATION = 'k8s.v1.cni.cncf.io/networks'

/** The bits of {@link Capability} that a plugin must have to set this pod up as it asks. */
export function neededCapabilities(pod: Pick<Pod, 'annotations' | 'portMappings'>, podCIDR: string): number {
  const { ingress, egress } = bandwidthOf(pod.annotations)
  let needed = 0
  if (ingress !== undefined || egress !== undefined) needed |= Capability.shaping
  if (pod.portMappings.length > 0) needed |= Capability.portMappings
  if (podCIDR.split(',').some((cidr) => isIPv6(cidr.trim().split('/')[0] ?? '')))
    needed |= Capability.dualStack
  if (pod.annotations[NETWORKS_ANNOTATION]) needed |= Capability.multiNetwork
  return needed
}
