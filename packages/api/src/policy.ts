import type { PodRef } from './pod.ts'

/**
 * What a pod may reach, and who may reach it. A side that is absent leaves everything as it is without a policy. Answers to
 * what is allowed always pass.
 */
export interface Policy {
  /** What the pod may reach. */
  readonly egress?: PolicySide
  /** Who may reach the pod. */
  readonly ingress?: PolicySide
}

/** What `deny` names is denied, else what `allow` names is allowed; `default` decides on all else. */
export interface PolicySide {
  readonly default: 'allow' | 'deny'
  /** Only where the default is to deny. */
  readonly allow?: readonly PolicyRule[]
  readonly deny?: readonly PolicyRule[]
}

/** One rule: whom it is about, one of `host`, `cidr`, `pod`, `gateway`, `published` and `set`, or everybody; and which traffic. */
export interface PolicyRule {
  /** By name, of egress alone: `registry.npmjs.org`, or `*.npmjs.org` for all names below that one. */
  readonly host?: string
  /** Addresses: `10.1.0.0/16`. */
  readonly cidr?: string
  /** What of the CIDR the rule is not about. */
  readonly except?: readonly string[]
  /** `namespace/name`, with `*` for any; or those that agree with a selector. */
  readonly pod?: string | PodSelector
  /** The host itself, by whichever of its addresses. */
  readonly gateway?: true
  /** Of ingress alone: who comes by a port that the pod publishes. */
  readonly published?: true
  /** Addresses that are known by what they are for. */
  readonly set?: PolicySetName
  /** Ports of whoever is connected to: `443`, `'8000-8100'`; absent: all. Of TCP and UDP, unless there is a protocol. */
  readonly ports?: readonly (number | string)[]
  /** Absent: all, of whatever number; with ports TCP and UDP. */
  readonly protocol?: 'tcp' | 'udp' | 'sctp' | 'icmp'
}

/** Pods that agree with all that is given. */
export interface PodSelector {
  readonly namespace?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/** `dns`: port 53 of everybody; `metadata`: where clouds tell machines their secrets. */
export type PolicySetName = 'dns' | 'metadata'

/** Packets of one kind that a policy denied, together. */
export interface DeniedFlow {
  readonly pod: PodRef
  /** `egress`: what the pod tried to reach; `ingress`: who tried to reach it. */
  readonly direction: 'egress' | 'ingress'
  /** `tcp`, `udp`, `icmp` …, else the protocol's number; `dns`: a name that was not resolved, or led where it must not. */
  readonly protocol: string
  /** The other end's address; absent of a name that was not resolved. */
  readonly address?: string
  /** The port that was tried, where the protocol has ports. */
  readonly port?: number
  /** The name that the pod asked for, where it is known. */
  readonly name?: string
  /** Which rule denied it: `default`, or `deny[0]`; `limit`: the pod asked for too much. */
  readonly rule: string
  /** How many packets at least: a flood is not counted to the end. */
  readonly count: number
  /** ISO 8601 */
  readonly first: string
  /** ISO 8601 */
  readonly last: string
}

/** The event by which a plugin reports a {@link DeniedFlow}: `host.report(FLOW_DENIED, flow)`. */
export const FLOW_DENIED = 'flow:denied'
