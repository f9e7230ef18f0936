import { Capability, type Pod, parsePodCIDR } from '@podwire/api'

/** The annotation that names further networks for a pod. Source: the Network Plumbing Working Group's specification. */
const NETWORKS_ANNOTATION = 'k8s.v1.cni.cncf.io/networks'

/** The bits of {@link Capability} that a plugin must have to set this pod up as it asks. */
export function neededCapabilities(
  pod: Pick<Pod, 'annotations' | 'portMappings' | 'bandwidth' | 'policy' | 'ifName'>,
  podCIDR: string,
): number {
  let needed = 0
  if (pod.bandwidth) needed |= Capability.shaping
  if (pod.portMappings.length > 0) needed |= Capability.portMappings
  if (parsePodCIDR(podCIDR)?.some(({ family }) => family === 6)) needed |= Capability.dualStack
  if (pod.annotations[NETWORKS_ANNOTATION]) needed |= Capability.multiNetwork
  if (pod.ifName !== undefined) needed |= Capability.interfaceNames
  if (pod.policy) needed |= Capability.policy
  return needed
}
