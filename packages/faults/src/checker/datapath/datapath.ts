import type { Link } from '@podwire/netlink'
import type { KubenetRecord, Observed, ObservedNamespace } from '../observed.ts'

/** What is one data path's own of how pods are connected, each difference in a sentence. */
export interface DatapathChecker {
  /** What pods share is there. Asked only while there are pods. */
  sharedDifferences(observed: Observed): string[]
  /** The host's end of a pod's link, which is there. */
  linkDifferences(observed: Observed, link: Link, record: KubenetRecord): string[]
  /** Inside of a pod, beyond its addresses. */
  insideDifferences(inside: ObservedNamespace, record: KubenetRecord): string[]
}
