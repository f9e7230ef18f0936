import { DEFAULT_INTERFACE_NAME, type InitOptions, type Pod } from '@podwire/api'

/** Variables of a call. Undefined: not set, whatever the host's own environment holds. */
export type Variables = Readonly<Record<string, string | undefined>>

/** Bytes. The kernel starts no process with a variable of 128 KiB or more, its name included. */
const largestValue = 64 * 1024

/** What every call of an executable gets. */
export function hostVariables(
  { mtu, hairpinMode, nonMasqueradeCIDR }: InitOptions,
  podCIDR: string,
): Variables {
  return {
    PODWIRE_IFNAME: DEFAULT_INTERFACE_NAME,
    PODWIRE_POD_CIDR: podCIDR,
    PODWIRE_MTU: String(mtu),
    PODWIRE_HAIRPIN_MODE: hairpinMode,
    PODWIRE_NON_MASQUERADE_CIDR: nonMasqueradeCIDR,
    PODWIRE_NETNS: '',
    PODWIRE_PORT_MAPPINGS: undefined,
    PODWIRE_ANNOTATIONS: undefined,
  }
}

/** What `setup` gets besides. A value that is too large stands on stdin alone. */
export function podVariables({ netns, portMappings, annotations }: Pod): Variables {
  return {
    PODWIRE_NETNS: netns,
    PODWIRE_PORT_MAPPINGS: ifItFits(JSON.stringify(portMappings)),
    PODWIRE_ANNOTATIONS: ifItFits(JSON.stringify(annotations)),
  }
}

function ifItFits(value: string): string | undefined {
  return Buffer.byteLength(value) <= largestValue ? value : undefined
}
