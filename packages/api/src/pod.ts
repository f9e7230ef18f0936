import type { Bandwidth } from './bandwidth.ts'
import type { Policy } from './policy.ts'

/** The names of one pod and of the sandbox it lives in. */
export interface PodRef {
  readonly namespace: string
  readonly name: string
  /** The pod infra container's ID in Kubernetes' words, the container ID in CNI's. */
  readonly sandboxId: string
}

/** A port of the host that leads to a port of the pod. */
export interface PortMapping {
  /** 1–65535 */
  readonly hostPort: number
  /** 1–65535 */
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  /** An address of the host; absent: all of them. */
  readonly hostIP?: string
}

/** All that a host knows of a pod: what a plugin needs to set it up, so that it asks nothing back. */
export interface Pod extends PodRef {
  /** The path of the sandbox's network namespace. */
  readonly netns: string
  /** What the interface in the sandbox is to be called; absent: `eth0`. Asked of plugins with {@link Capability}.interfaceNames alone. */
  readonly ifName?: string
  readonly annotations: Readonly<Record<string, string>>
  readonly portMappings: readonly PortMapping[]
  /** Limits that the annotations ask for, parsed; absent: none. */
  readonly bandwidth?: Bandwidth
  /** What it may reach, and who may reach it; absent: no limits. */
  readonly policy?: Policy
}

/** An address of a pod's interface, as the kernel has it. */
export interface InterfaceAddress {
  /** With prefix length: `10.88.0.7/32` */
  readonly address: string
  /** The way out from it. */
  readonly gateway?: string
}

/** A way that leads out of a pod. */
export interface InterfaceRoute {
  /** With prefix length: `0.0.0.0/0` */
  readonly destination: string
  readonly gateway?: string
}

/** One interface of a pod beyond its first address. */
export interface PodInterface {
  /** `eth0`, `net1` … */
  readonly name: string
  /** The network it is attached to. */
  readonly network?: string
  /** Addresses without prefix length. */
  readonly ips: readonly string[]
  readonly mac?: string
  /** The same addresses with what belongs to them, where the plugin tells. */
  readonly addresses?: readonly InterfaceAddress[]
  readonly routes?: readonly InterfaceRoute[]
  /** In bytes. */
  readonly mtu?: number
  /** Its other end, where that is a link of the host. */
  readonly host?: { readonly name: string; readonly mac?: string }
}

/** The network status of a pod. Source: `network.PodNetworkStatus`, v1beta1. */
export interface PodNetworkStatus {
  readonly kind?: 'PodNetworkStatus'
  readonly apiVersion?: 'v1beta1'
  /** The pod's primary address, without prefix length. */
  readonly ip: string
  /** Every address of the primary network, the primary one first. */
  readonly ips?: readonly string[]
  /** Every interface, where the plugin knows more than one. */
  readonly interfaces?: readonly PodInterface[]
}

/** `namespace/name`, as errors and tables show a pod. */
export function podKey(pod: { readonly namespace: string; readonly name: string }): string {
  return `${pod.namespace}/${pod.name}`
}

/** A pod's names alone: what else is known of it may be large, and has no place in logs, errors and events. */
export function podRef({ namespace, name, sandboxId }: PodRef): PodRef {
  return { namespace, name, sandboxId }
}
