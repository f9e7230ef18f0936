import { randomBytes } from 'node:crypto'
import { type Logger, messageOf } from '@podwire/api'
import type { NodeValue } from '../layout/lease-value.ts'
import type { ClusterNetwork } from '../layout/network.ts'
import { type PodSubnets, parsePodSubnets, podCIDROf } from '../layout/pod-subnets.ts'
import { bootId } from './clock.ts'
import { adoptable, knownBy, usableRecord } from './earlier-lease.ts'
import { type MemberRecord, readMemberRecord, writeMemberRecord } from './member-file.ts'
import type { HeldLease } from './node.ts'

/** What a node knows of its membership over restarts of its daemon, and has told whoever looks. */
export interface MemberMemory {
  /** Of this node, the same over restarts. */
  readonly instance: string
  /** What it had before. */
  readonly before: PodSubnets | undefined
  /** The value of `PREFIX/config` by which it joined. */
  readonly networkText: string | undefined
  /**
   * The lease of an earlier process that it may go on with.
   * @param until whether that lasts long enough: in milliseconds of the clock of leases, by how long it was begun for in seconds
   */
  adoptable(until: (ttl: number | undefined) => number): ReturnType<typeof adoptable>
  joins(networkText: string): void
  holds(lease: HeldLease): void
  /** The lease is not its own any more. */
  ended(): void
  /** @param network undefined: it is not known yet */
  save(membership: Pick<MemberRecord, 'state' | 'reason'>, network: ClusterNetwork | undefined): void
}

export interface MemberMemoryOptions {
  readonly stateDir: string
  readonly nodeName: string
  /** What it tells of itself. */
  readonly describe: (network: ClusterNetwork) => NodeValue
  readonly log: Logger
}

export function openMemberMemory(options: MemberMemoryOptions): MemberMemory {
  const { stateDir, nodeName, describe, log } = options
  const saved = usableRecord(readMemberRecord(stateDir), nodeName)
  const instance = saved?.instance ?? randomBytes(16).toString('hex')
  let networkText = saved?.network
  let before = saved?.lease && parsePodSubnets(saved.lease.podCIDR)
  let lease = saved?.lease

  return {
    instance,
    get before() {
      return before
    },
    get networkText() {
      return networkText
    },
    adoptable: (until) => saved && adoptable(saved, describe, until(saved.lease?.ttl)),
    joins(text) {
      networkText = text
    },
    holds({ key, subnets, modRevision, id, ttl, endsAt }) {
      before = subnets
      lease = {
        key,
        podCIDR: podCIDROf(subnets),
        modRevision,
        ...(id === undefined ? {} : { id }),
        ...(ttl === undefined ? {} : { ttl }),
        ...(endsAt === undefined ? {} : { endsAt }),
      }
    },
    ended() {
      if (lease) lease = { ...lease, endsAt: 0 }
    },
    save({ state, reason }, network) {
      const { publicIP, publicIPv6, publicKey } = network ? knownBy(describe(network)) : (saved ?? {})
      try {
        writeMemberRecord(stateDir, {
          bootId: bootId(),
          instance,
          state,
          ...(reason === undefined ? {} : { reason }),
          nodeName,
          ...(publicIP === undefined ? {} : { publicIP }),
          ...(publicIPv6 === undefined ? {} : { publicIPv6 }),
          ...(publicKey === undefined ? {} : { publicKey }),
          ...(networkText === undefined ? {} : { network: networkText }),
          ...(lease === undefined ? {} : { lease }),
        })
      } catch (error) {
        // The lease is this node's all the same; after a restart it is found by the node's name.
        log.warn(`cluster: what is known of the lease can't be kept: ${messageOf(error)}`)
      }
    },
  }
}
