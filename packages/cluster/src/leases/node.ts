import type { NodeValue } from '../layout/lease-value.ts'
import type { PodSubnets } from '../layout/pod-subnets.ts'

/** What this node is to the others. */
export interface ClusterNode extends NodeValue {
  readonly nodeName: string
  readonly instance: string
}

/** A lease that this node has. */
export interface HeldLease {
  readonly key: string
  readonly subnets: PodSubnets
  readonly modRevision: number
  /** Undefined: a reservation, which has no end. */
  readonly id?: string
  /** How long it was asked for, and is renewed for. Seconds; undefined: a reservation. */
  readonly ttl?: number
  /** In milliseconds of the clock that counts on while the machine is suspended; undefined: never. */
  readonly endsAt?: number
}
