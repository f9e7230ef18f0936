import type { Link } from '@podwire/netlink'
import type { DatapathName, KubenetRecord, Observed, ObservedNamespace } from '../observed.ts'

/** How a host connects pods. */
export interface DatapathSettings {
  /** From now on; pods that run stay as they are. */
  readonly datapath: DatapathName
  /** The name of the bridge of pods that are on one. */
  readonly bridge: string
  /** The host's address in each network of pods, with the prefix length of the network. */
  readonly gateways: readonly string[]
}

/** What is one data path's own of how pods are connected, each difference in a sentence. */
export interface DatapathChecker {
  /** What pods share is there. Asked only where there are pods of this kind. */
  sharedDifferences(observed: Observed): string[]
  /** What pods shared and none needs any more. */
  leftovers(observed: Observed): string[]
  /** The host's end of a pod's link, which is there. */
  linkDifferences(observed: Observed, link: Link, record: KubenetRecord): string[]
  /** What the pod's interface should have, with prefix length. */
  addressesInside(record: KubenetRecord): string[]
  /** Inside of a pod, beyond its addresses. */
  insideDifferences(inside: ObservedNamespace, record: KubenetRecord): string[]
}
