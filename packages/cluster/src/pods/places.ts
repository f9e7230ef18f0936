import { isAddressOf } from '../layout/pod-record.ts'
import { haveInCommon, keyNameOf, type PodSubnets, subnetsOf } from '../layout/pod-subnets.ts'
import { formatSubnet, isWithin, type Subnet } from '../layout/range.ts'
import type { LeaseEntry } from '../leases/entry.ts'
import { findNested } from './nested-subnets.ts'

/** This node's place in the cluster. */
export interface OwnPlace {
  readonly subnets: PodSubnets
  /** What nodes' subnets are of. */
  readonly networks: readonly Subnet[]
}

/** Which addresses are whose, by the leases of all nodes. Nodes go by the names of their leases' keys. */
export interface Places {
  /**
   * Leases came or went. Undefined own: this node has no place, and knows no pods of others.
   * @returns whether a node's place is another one now
   */
  take(
    own: OwnPlace | undefined,
    leases: ReadonlyMap<string, LeaseEntry>,
    prefix: string,
  ): (node: string) => boolean
  isOwn(node: string): boolean
  /** Whether the node has a lease now, and it is that one. */
  isLeased(node: string, lease: string | undefined): boolean
  /** Why a pod of the node with these addresses is nobody's. */
  problemOf(node: string, addresses: readonly string[]): string | undefined
}

export function createPlaces(): Places {
  let own: OwnPlace | undefined
  let leases: ReadonlyMap<string, LeaseEntry> = new Map()
  let prefix = ''
  /** By node, looked at once for all of its pods; empty: there is none. */
  const problems = new Map<string, string>()
  /** Subnets within another lease's: who leases the smaller one has the address, as routes have it. */
  let nested: ReadonlyMap<string, readonly Subnet[]> = new Map()

  const isOwn = (node: string) => own !== undefined && keyNameOf(own.subnets) === node

  function nodeProblem(node: string): string | undefined {
    const known = problems.get(node)
    if (known !== undefined) return known || undefined
    const { subnets } = leases.get(prefix + node) ?? {}
    const problem = subnets && subnetsProblem(node, subnets)
    problems.set(node, problem ?? '')
    return problem
  }

  function subnetsProblem(node: string, subnets: PodSubnets): string | undefined {
    if (!own || isOwn(node)) return undefined
    if (haveInCommon(own.subnets, subnets)) return "it has addresses of this node's own pod CIDR"
    const { networks } = own
    return subnetsOf(subnets).every((subnet) => networks.some((network) => isWithin(subnet, network)))
      ? undefined
      : 'it is not of the network'
  }

  return {
    isOwn,
    take(nextOwn, nextLeases, nextPrefix) {
      const [leasesBefore, nestedBefore] = [leases, nested]
      const isMoved =
        !own !== !nextOwn || (own && nextOwn && keyNameOf(own.subnets) !== keyNameOf(nextOwn.subnets))
      own = nextOwn
      prefix = nextPrefix
      leases = new Map(nextLeases)
      nested = findNested(leases, prefix)
      problems.clear()
      return (node) => {
        const [before, now] = [leasesBefore.get(prefix + node), leases.get(prefix + node)]
        const isSame =
          before !== undefined &&
          now !== undefined &&
          before.lease === now.lease &&
          describe(nestedBefore.get(node)) === describe(nested.get(node))
        return !isSame || isMoved === true
      }
    },
    isLeased(node, lease) {
      const of = leases.get(prefix + node)
      if (!own || !of) return false
      // A reservation has no end, and its node's pods have a lease by themselves.
      return of.lease === undefined || of.lease === lease
    },
    problemOf(node, addresses) {
      const inner = nested.get(node)
      return (
        nodeProblem(node) ??
        (inner && addresses.some((address) => inner.some((subnet) => isIn(subnet, address)))
          ? 'another node leases its addresses'
          : undefined)
      )
    },
  }
}

const describe = (subnets: readonly Subnet[] = []) => subnets.map(formatSubnet).join()

const isIn = (subnet: Subnet, address: string) =>
  isAddressOf(subnet.family === 4 ? { ipv4: subnet } : { ipv6: subnet }, address)
