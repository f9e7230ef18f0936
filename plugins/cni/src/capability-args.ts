import { type Bandwidth, type Pod, parseCIDR } from '@podwire/api'
import type { CniOptions } from './options.ts'

/** Capability arguments by capability; each plugin gets those it declares. */
export type CapabilityArgs = Readonly<Record<string, unknown>>

/** What of a pod and its host goes to the plugins of its first network. */
export interface CapabilitySources {
  readonly pod: Pick<Pod, 'annotations' | 'portMappings' | 'bandwidth'>
  /** Separated by commas; empty while the host knows none. */
  readonly podCIDR: string
  readonly dns: CniOptions['dns']
}

/** The capability arguments by the conventions of CNI. */
export function capabilityArgs({ pod, podCIDR, dns }: CapabilitySources): CapabilityArgs {
  const portMappings = publishedPorts(pod.portMappings)
  const bandwidth = bandwidthArgs(pod.bandwidth)
  const ipRanges = rangesOf(podCIDR)
  return {
    ...(portMappings.length > 0 ? { portMappings } : {}),
    ...(bandwidth ? { bandwidth } : {}),
    ...(ipRanges.length > 0 ? { ipRanges } : {}),
    ...(dns ? { dns } : {}),
    ...(Object.keys(pod.annotations).length > 0
      ? { 'io.kubernetes.cri.pod-annotations': pod.annotations }
      : {}),
  }
}

function publishedPorts(portMappings: Pod['portMappings']) {
  return portMappings
    .filter(({ hostPort }) => hostPort > 0)
    .map(({ hostPort, containerPort, protocol, hostIP }) => ({
      hostPort,
      containerPort,
      protocol: protocol.toLowerCase(),
      ...(hostIP ? { hostIP } : {}),
    }))
}

/** Bits: a burst below it holds less than one segment as large as the kernel makes them. */
const smallestBurst = 1_048_576

/** Bits: the bandwidth plugin counts no further. */
const largestBurst = 2 ** 31 - 1

// The kubelet let 2 Gbit pass before it limited anything. A tenth of a second keeps to the rate from the start.
function burstOf(rate: number): number {
  return Math.min(largestBurst, Math.max(smallestBurst, Math.ceil(rate / 10)))
}

function bandwidthArgs({ ingress, egress }: Bandwidth = {}) {
  if (ingress === undefined && egress === undefined) return undefined
  return {
    ...(ingress === undefined ? {} : { ingressRate: ingress, ingressBurst: burstOf(ingress) }),
    ...(egress === undefined ? {} : { egressRate: egress, egressBurst: burstOf(egress) }),
  }
}

// Each inner list is one address of the pod, so a CIDR of each family gives it both.
function rangesOf(podCIDR: string): { subnet: string }[][] {
  const cidrs = podCIDR.split(',').flatMap((cidr) => parseCIDR(cidr.trim()) ?? [])
  const ofFamily = (wanted: 4 | 6) =>
    cidrs
      .filter(({ family }) => family === wanted)
      .map(({ address, prefixLength }) => ({ subnet: `${address}/${prefixLength}` }))
  return [ofFamily(4), ofFamily(6)].filter((ranges) => ranges.length > 0)
}
