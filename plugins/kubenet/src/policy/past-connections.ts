import type { Connection } from '@podwire/netlink'
import { encodeIp } from '@podwire/netlink/transport'
import type { Firewall } from '../firewall/firewall.ts'
import { contains, familyOf, parseRange } from '../ipam/cidr.ts'
import type { FormerAddresses } from '../ipam/former-addresses.ts'
import type { PodRecord } from '../pod-record.ts'
import { type Membership, passes, triedBy } from './connections.ts'
import { hasElement } from './in-kernel.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import { groupSet, ledTo } from './objects.ts'

/** Connections that the kernel lets go on, as they began before a pod had the policy that it has. */
export interface PastConnections {
  /** What whoever had the addresses before had begun must not go on for this pod. */
  forget(pod: PodRecord): Promise<void>
  /**
   * What the pods' policies don't allow any more must not go on.
   * @param about addresses that connections are looked at of; absent: all
   */
  cut(pods: readonly PolicedPod[], about?: ReadonlySet<string>): Promise<void>
}

/** A pod that has a policy in the kernel. */
export interface PolicedPod {
  readonly pod: PodRecord
  readonly policy: KernelPolicy
  readonly link: string
}

interface PastConnectionsContext {
  readonly firewall: Firewall
  readonly former: FormerAddresses
  /** Of pods, as CIDRs. */
  networks(): readonly string[]
  /** Undefined: nobody's. */
  ownerOf(address: string): string | undefined
  /** Addresses of the host itself. */
  hostAddresses(): Promise<ReadonlySet<string>>
}

export function createPastConnections(context: PastConnectionsContext): PastConnections {
  const { firewall, former, hostAddresses } = context
  // Looking through all that the kernel keeps track of takes milliseconds: one look does for all pods that wait for one.
  let last: Promise<void> = Promise.resolve()
  let next: { readonly addresses: Set<string>; readonly done: Promise<void> } | undefined

  function sweepWith(addresses: readonly string[]): Promise<void> {
    if (!next) {
      const own = new Set<string>()
      const done = last.then(() => {
        next = undefined
        return sweep(own)
      })
      last = done.catch(() => {})
      next = { addresses: own, done }
    }
    for (const address of addresses) next.addresses.add(address)
    return next.done
  }

  /** Of pods that wait, and of all addresses that nobody has, so that no pod has to wait that gets one of those. */
  async function sweep(waiting: ReadonlySet<string>) {
    const networks = context.networks()
    const ranges = networks.flatMap((network) => parseRange(network) ?? [])
    const hosts = await hostAddresses()
    const begun = former.beginSweep(networks)
    const decided = new Map<string, boolean>()
    // Whoever has no address after the kernel told what it keeps track of had none of that.
    function isForgotten(address: string): boolean {
      const isNobodys = () =>
        !hosts.has(address) &&
        ranges.some((range) => contains(range, address)) &&
        context.ownerOf(address) === undefined
      const known = decided.get(address) ?? (waiting.has(address) || isNobodys())
      decided.set(address, known)
      return known
    }
    await firewall.forgetConnections(
      ({ original, reply }) => isForgotten(original.source) || isForgotten(reply.source),
    )
    begun.finish(isForgotten)
  }

  /** Whether the kernel has an address among a policy's group. */
  const isMember =
    (policy: KernelPolicy, link: string): Membership['has'] =>
    (direction, list, index, address) => {
      const set = groupSet(direction, list, index, familyOf(address) ?? 4, policy)
      const isOfNames = policy.policy[direction]?.[list][index]?.kind === 'names'
      const key = encodeIp(address)
      return hasElement(firewall, set, isOfNames ? ledTo(link, key) : key)
    }

  return {
    async forget(pod) {
      if (firewall.problem !== undefined) return
      const own = addressesOf(pod)
      if (!own.every(former.isFresh)) await sweepWith(own)
    },
    async cut(pods, about) {
      if (pods.length === 0) return
      const hosts = await hostAddresses()
      const isHost = (address: string) => hosts.has(address)
      const looks = pods.map((one) => ({ ...one, own: addressesOf(one.pod) }))
      const isCut = (connection: Connection) =>
        looks.some(({ own, policy, link }) =>
          triedBy(connection, own).some(
            (tried) => !passes(policy.policy, tried, { isHost, has: isMember(policy, link) }),
          ),
        )
      await firewall.forgetConnections(
        (connection) => {
          const { original, reply } = connection
          return (!about || about.has(original.source) || about.has(reply.source)) && isCut(connection)
        },
        fewerOf(
          looks.flatMap(({ own }) => own),
          about,
        ),
      )
    },
  }
}

/** What is cut has one of both. */
const fewerOf = (own: readonly string[], about: ReadonlySet<string> | undefined) =>
  about && about.size < own.length ? [...about] : own

const addressesOf = ({ addresses }: PodRecord) => addresses.map(({ address }) => address)
