/**
 * What a network plugin can do beyond an address for a pod, one bit each.
 * `shaping` is the kubelet's `NET_PLUGIN_CAPABILITY_SHAPING`; the others are Podwire's.
 */
export const Capability = {
  /** Handles bandwidth annotations itself. */
  shaping: 1 << 0,
  /** Publishes container ports on the host. */
  portMappings: 1 << 1,
  /** Gives a pod an IPv4 and an IPv6 address. */
  dualStack: 1 << 2,
  /** Implements `checkPod`. */
  check: 1 << 3,
  /** Implements `collectGarbage`. */
  gc: 1 << 4,
  /** Attaches further networks that an annotation of the pod names. */
  multiNetwork: 1 << 5,
  /** Enforces a pod's policy. */
  policy: 1 << 6,
  /** Gives a pod's interface the name that is asked for, and one sandbox several of them. */
  interfaceNames: 1 << 7,
} as const

/** The name of a capability: `shaping`, `portMappings` … */
export type CapabilityName = keyof typeof Capability

/** Source: `network.NET_PLUGIN_CAPABILITY_SHAPING`. */
export const NET_PLUGIN_CAPABILITY_SHAPING = Capability.shaping

const names = Object.keys(Capability) as CapabilityName[]

/** Joins capabilities into a bitset: `capabilitySet('shaping', 'gc')`. */
export function capabilitySet(...wanted: CapabilityName[]): number {
  return wanted.reduce((set, name) => set | Capability[name], 0)
}

/** Whether `set` holds every bit of `wanted`. */
export function hasCapabilities(set: number, wanted: number): boolean {
  return (set & wanted) === wanted
}

/** The bits of `wanted` that `set` lacks; 0 when it lacks none. */
export function missingCapabilities(set: number, wanted: number): number {
  return wanted & ~set
}

/** The names in a bitset, in the order of their bits. A bit that this version doesn't know reads `bit 9`. */
export function describeCapabilities(set: number): string[] {
  const described: string[] = names.filter((name) => set & Capability[name])
  const known = capabilitySet(...names)
  for (let bit = 0; bit < 32; bit++) {
    if ((set & ~known & (1 << bit)) !== 0) described.push(`bit ${bit}`)
  }
  return described
}
