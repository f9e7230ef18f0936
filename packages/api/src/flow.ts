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
