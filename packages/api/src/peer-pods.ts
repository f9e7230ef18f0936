/**
 * The event by which a host tells its plugin of pods of other nodes, as {@link PeerPodsChange}: all of them after each of its starts, and
 * what changes from then on. A plugin with `Capability.policy` has its policies' rules about pods hold for these too.
 */
export const PEER_PODS_CHANGE = 'peer-pods-change'

/** A pod of another node, by that node's word. */
export interface PeerPod {
  readonly namespace: string
  readonly name: string
  /** Without prefix length; all of them of the node's pod CIDR. */
  readonly addresses: readonly string[]
  /** Those of the pod's that its node shares. */
  readonly annotations: Readonly<Record<string, string>>
  /** A pod of another node has had the name for longer: the name leads to that one. */
  readonly isNamesake?: true
}

/** A node and all pods that it tells of. */
export interface PeerNode {
  /** By which it is known: no two nodes have one. */
  readonly podCIDR: string
  readonly pods: readonly PeerPod[]
}

/** The details of {@link PEER_PODS_CHANGE}. */
export interface PeerPodsChange {
  /** The pod CIDRs of all nodes that there are: those of others are gone, with their pods. Absent: nothing is said of others. */
  readonly all?: readonly string[]
  /** Nodes whose pods changed: each has these, and no others. */
  readonly changed: readonly PeerNode[]
}
