import type { Logger } from '@podwire/api'
import type { SharedPod } from './layout/pod-record.ts'
import type { PodSubnets } from './layout/pod-subnets.ts'

/** A node as the others see it. */
export interface PeerStatus {
  readonly podCIDR: string
  readonly nodeName?: string
  readonly publicIP?: string
  /** Why its pods can't be reached. */
  readonly problem?: string
}

/** What this node has of the cluster's network. */
export interface ClusterShare {
  readonly podCIDR: string
  readonly subnets: PodSubnets
  /** All that pods of any node may have: they reach each other by their own addresses. */
  readonly networks: readonly string[]
  /** What pods' links may carry, in bytes; undefined: what the node's own link carries. */
  readonly mtu?: number
}

/** What a daemon is told of. */
export type ClusterEvent =
  | { readonly event: 'joined'; readonly share: ClusterShare }
  | { readonly event: 'fenced'; readonly reason: string }
  | { readonly event: 'repaired'; readonly what: readonly string[] }
  /** What etcd has of other nodes' pods and can't be so, or two pods of one name: each in a phrase. */
  | { readonly event: 'refused'; readonly what: readonly string[] }

/** A pod of this node, by the sandbox that it has: a pod may have several. */
export interface OwnPod extends SharedPod {
  readonly sandboxId: string
}

/** Pods by which the nodes know each other's: this one's own are told, and those of the others are heard of. */
export interface ClusterPods {
  /** All pods of this node that have their network. Before this nothing is told. */
  setAll(pods: readonly OwnPod[]): void
  set(pod: OwnPod): void
  remove(sandboxId: string): void
  /** Tells of all pods of the others again, to somebody who knows none. */
  repeat(): void
}

/** This node's part in a network of many nodes. */
export interface Cluster {
  /** Undefined while it may not set pods up. */
  readonly share: ClusterShare | undefined
  /** Why it may not, or what is wrong though it may. */
  readonly problem: string | undefined
  /** Whether addresses of {@link share} may be given to pods at this moment. */
  holds(): boolean
  peers(): readonly PeerStatus[]
  /** Undefined where nodes don't tell each other of their pods: without etcd, or where that isn't wanted. */
  readonly pods?: ClusterPods
  /** Routes and pods stay. @param release give the pod CIDR back, and take the routes away */
  stop(options?: { readonly release?: boolean }): Promise<void>
}

export interface ClusterContext {
  readonly log: Logger
  readonly stateDir: string
  /** Told of one thing after the other; the next waits until it is done. */
  readonly onEvent: (event: ClusterEvent) => Promise<void> | void
}
