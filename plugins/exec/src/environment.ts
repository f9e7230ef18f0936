import { DEFAULT_INTERFACE_NAME, type Host, type InitOptions, type PodRef } from '@podwire/api'

/** What every call of an executable gets. */
export function hostEnvironment({ mtu, hairpinMode, nonMasqueradeCIDR }: InitOptions, podCIDR: string) {
  return {
    PODWIRE_IFNAME: DEFAULT_INTERFACE_NAME,
    PODWIRE_POD_CIDR: podCIDR,
    PODWIRE_MTU: String(mtu),
    PODWIRE_HAIRPIN_MODE: hairpinMode,
    PODWIRE_NON_MASQUERADE_CIDR: nonMasqueradeCIDR,
  }
}

/** What a call without a pod gets in place of a pod's: the host's own environment may hold another's. */
export const noPodEnvironment = { PODWIRE_NETNS: '', PODWIRE_PORT_MAPPINGS: '[]', PODWIRE_ANNOTATIONS: '{}' }

/** What a call for a pod gets besides. @param netns empty: it is gone */
export async function podEnvironment(host: Host, pod: PodRef, netns: string) {
  const known = host.supportsLegacyFeatures() ? await host.getPodByName(pod.namespace, pod.name) : undefined
  return {
    PODWIRE_NETNS: netns,
    PODWIRE_PORT_MAPPINGS: JSON.stringify(await host.getPodPortMappings(pod.sandboxId)),
    PODWIRE_ANNOTATIONS: JSON.stringify(known?.annotations ?? {}),
  }
}
