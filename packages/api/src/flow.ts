import type { PodRef } from './pod.ts'

/** Packets of one kind that a policy denied, together. */
export interface DeniedFlow {
  readonly pod: PodRef
  /** `egress`: what the pod tried to reach; `ingress`: who tried to reach it. */
  readonly direction: 'egress' | 'ingress'
  /** `tcp`, `udp`, `icmp` …, else the protocol's number; `dns`: a name that was not resolved, or led where it must not. */
  readonly protocol: string
  /** The other end's address; absent of a name that was not resolved. */
  readonly address?: string
  /** The port that was tried, where the protocol has ports; absent of a name that led where it must not. */
  readonly port?: number
  /** The name that the pod asked for, where it is known. */
  readonly name?: string
  /**
   * Which rule denied it: `default`, or `deny[0]`; `limit`: the pod asked for too much; `address`: the name is allowed, and leads to an
   * address that is not the internet's, which no rule allows by itself.
   */
  readonly rule: string
  /** How many packets at least: a flood is not counted to the end. */
  readonly count: number
  /** ISO 8601 */
  readonly first: string
  /** ISO 8601 */
  readonly last: string
}

/** Connections of one kind of a pod that nothing denied, together; those to the host's resolver are none. Protocols without connections have them by the kernel's count. */
export interface AllowedFlow {
  readonly pod: PodRef
  /** `egress`: the pod began it; `ingress`: the other end did. */
  readonly direction: 'egress' | 'ingress'
  /** `tcp`, `udp`, `icmp` …, else the protocol's number. */
  readonly protocol: string
  /** Of the other end, where it truly is: of a published port or a name server the one that answers. */
  readonly address: string
  /** Of whoever is connected to, where the protocol has ports. */
  readonly port?: number
  /** The name that the pod asked for, where it is known. */
  readonly name?: string
  /** How many began, or ended, at about the same time. */
  readonly count: number
  /** When the first of them began, or the longest one that ended, ISO 8601; absent of those that were there before anybody asked, which are told anew to whoever begins to ask. */
  readonly start?: string
}

/** Connections that ended, with all that went by them. */
export interface ClosedFlow extends AllowedFlow {
  /** Of the longest of them. TCP ends when the kernel forgets it, up to two minutes after it was closed. */
  readonly durationMs?: number
  /** By the pod, and to it; absent where the kernel did not count. */
  readonly sent?: FlowTraffic
  readonly received?: FlowTraffic
}

export interface FlowTraffic {
  /** With all headers from the network's on. */
  readonly bytes: number
  readonly packets: number
}

/** The event by which a plugin reports a {@link DeniedFlow}: `host.report(FLOW_DENIED, flow)`. */
export const FLOW_DENIED = 'flow:denied'

/**
 * The event by which a host tells its plugin whether anybody wants to hear of allowed flows: `{ wanted: true }`, and `false` after it.
 * While it is so, a plugin with `Capability.policy` reports them, those first that are there; before its answer all that happened until then.
 */
export const FLOWS_WANTED = 'flows-wanted'

/** The event by which a plugin reports an {@link AllowedFlow} when it begins. */
export const FLOW_ALLOWED = 'flow:allowed'

/** The event by which a plugin reports a {@link ClosedFlow}. */
export const FLOW_CLOSED = 'flow:closed'

/** The event by which a plugin reports that some allowed flows were not told: there were too many at a time. */
export const FLOW_LOST = 'flow:lost'
