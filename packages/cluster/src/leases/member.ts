import { isPodwireError, type Logger, messageOf } from '@podwire/api'
import { errors } from '../errors.ts'
import type { Etcd } from '../etcd/client.ts'
import type { Keys } from '../layout/keys.ts'
import type { NodeValue } from '../layout/lease-value.ts'
import type { ClusterNetwork } from '../layout/network.ts'
import { keyNameOf, podCIDROf } from '../layout/pod-subnets.ts'
import { retryDelay } from '../retry-delay.ts'
import { acquireLease } from './acquire.ts'
import { bootTime } from './clock.ts'
import { type LeaseEntry, readEntry } from './entry.ts'
import type { LeaseChange } from './lease-table.ts'
import { openMemberMemory } from './member-memory.ts'
import { readNetwork } from './network.ts'
import type { HeldLease } from './node.ts'
import { otherLength } from './other-length.ts'
import { describeOwner } from './release.ts'

/** Where this node stands in the cluster. */
export type Membership =
  | {
      readonly state: 'joined'
      readonly lease: HeldLease
      readonly network: ClusterNetwork
      /** What is wrong though it is joined: etcd is away. */
      readonly reason?: string
    }
  | {
      /** Never joined, or no longer. */
      readonly state: 'joining' | 'fenced'
      readonly reason: string
    }

export interface MemberOptions {
  readonly etcd: Etcd
  readonly keys: Keys
  readonly nodeName: string
  /** What it tells of itself, once its network is known: a vxlan link's MAC address is of one backend alone. */
  readonly describe: (network: ClusterNetwork) => NodeValue
  /** Before it joins that network: rejects where this node can't be a part of it. */
  readonly prepare?: (network: ClusterNetwork) => Promise<void>
  /** Of a failure that whoever started it is told of itself: it is not logged too. */
  readonly isTold?: (error: unknown) => boolean
  /** Seconds. */
  readonly leaseTtl: number
  /** How long before its end a lease is renewed. Seconds. */
  readonly renewBefore: number
  readonly stateDir: string
  readonly log: Logger
  /** Told at once of each step: it joined, or is fenced. */
  readonly onChange: (membership: Membership) => void
  /** Told when it joined, and of each renewal: for how long the lease may be used from then on. Milliseconds, Infinity without end. */
  readonly onHeld?: (network: ClusterNetwork, ms: number) => void
  /** Milliseconds, those of suspension included. Default: the machine's. */
  readonly now?: () => number
}

export interface Member {
  readonly membership: Membership
  /** Whether this node may give addresses of its lease to pods, by a look at the clock. */
  holds(): boolean
  /** To be told of what happens to leases. */
  noticed(changes: readonly LeaseChange[]): void
  /** To be told why nobody tells of leases: whoever looks learns that etcd is away before a renewal does. */
  unheard(problem: string | undefined): void
  /** The first attempt to join, whatever came of it. */
  readonly attempted: Promise<void>
  /** @param release give the lease back, instead of keeping it until its end */
  stop(options?: { readonly release?: boolean }): Promise<void>
}

/**
 * Acquires a lease, renews it, and fences the node when it is not its own any more, or ends before it could be renewed. Then it
 * tries to acquire one anew.
 */
export function startMember(options: MemberOptions): Member {
  const { etcd, keys, nodeName, leaseTtl, renewBefore, log, onChange, now = bootTime } = options
  const memory = openMemberMemory(options)
  const { instance } = memory
  // Clocks of two machines run apart, and what is fenced takes a moment to withdraw.
  const marginMs = (ttl = leaseTtl) => Math.min(5_000, ttl * 100)
  const tickMs = Math.min(1_000, Math.max(20, leaseTtl * 20))

  let held: HeldLease | undefined
  let network: ClusterNetwork | undefined
  let membership: Membership = { state: 'joining', reason: 'it has not joined yet' }
  let displacedBy: string | undefined
  /** The lease was not yet found to be still this node's, after a restart. */
  let isConfirmed = true
  let failures = 0
  let unheard: string | undefined
  let wakeAt = now()
  let wake = () => {}
  let isStopping = false

  const ends = (lease: HeldLease) =>
    lease.endsAt === undefined ? Number.POSITIVE_INFINITY : lease.endsAt - marginMs(lease.ttl)

  /** The next step is due at once, or after the one that runs. */
  function hurry() {
    wakeAt = now()
    wake()
  }

  function enter(next: Membership) {
    membership = next
    save()
  }

  function save() {
    const { state, reason = unheard } = membership
    memory.save({ state, ...(reason === undefined ? {} : { reason }) }, network)
  }

  function joined(lease: HeldLease, of: ClusterNetwork) {
    held = lease
    network = of
    memory.holds(lease)
    enter({ state: 'joined', lease, network: of })
    onChange(membership)
    options.onHeld?.(of, ends(lease) - now())
  }

  function fence(reason: string) {
    if (!held) return
    held = undefined
    memory.ended()
    enter({ state: 'fenced', reason })
    log.error(`cluster: node ${nodeName} is fenced: ${reason}`)
    onChange(membership)
    hurry()
  }

  function lost(entry: LeaseEntry | undefined) {
    if (!held) return
    const what = `its lease of ${podCIDROf(held.subnets)} was taken from it`
    if (!entry) return fence(`${what}: it ended in etcd, or somebody deleted ${held.key}`)
    const { node } = entry
    const own = network && options.describe(network)
    const isTwin =
      node?.nodeName === nodeName && node.publicIP === own?.publicIP && node.publicIPv6 === own?.publicIPv6
    if (isTwin && node.instance !== undefined && node.instance !== instance) displacedBy = node.instance
    fence(
      displacedBy === undefined
        ? `${what}: ${held.key} is now ${describeOwner(entry)}`
        : errors.LEASE_TAKEN_OVER({ nodeName, publicIP: node?.publicIP ?? node?.publicIPv6 ?? '' }).message,
    )
  }

  async function join() {
    const found = await readNetwork(etcd, keys)
    network = found.network
    memory.joins(found.value)
    await options.prepare?.(network)
    const described = options.describe(network)
    const node = { ...described, nodeName, instance }
    const lease = await acquireLease({
      etcd,
      keys,
      network,
      node,
      leaseTtl,
      before: memory.before,
      displacedBy,
      now,
    })
    displacedBy = undefined
    isConfirmed = true
    log.info(`cluster: node ${nodeName} has ${podCIDROf(lease.subnets)}`)
    joined(lease, network)
  }

  /** A lease that an earlier process left is of the network that it knew: whoever wrote another one says that nodes take it now. */
  const isOtherNetwork = async () =>
    !isConfirmed && (await readNetwork(etcd, keys)).value !== memory.networkText

  /** One transaction, which holds against the revision and the lease; and a sign of life, which only lengthens what is this node's. */
  async function renew(asked: HeldLease) {
    const { key, modRevision, id } = asked
    const isOwn = [
      { key, modRevision },
      { key, lease: id },
    ]
    const noted = id === undefined ? [] : [{ put: keys.used + keyNameOf(asked.subnets), value: '' }]
    const startedAt = now()
    const compared = etcd.transaction(isOwn, noted, [{ get: key }]).catch((error: unknown) => {
      // An etcd that is full takes no key, and keeps leases all the same.
      if (!isPodwireError(error) || error.code !== 'ETCD_REFUSED') throw error
      return etcd.transaction(isOwn, [], [{ get: key }])
    })
    // At once: a slow etcd would take twice as long. It is this node's own, whoever has the key.
    const kept = id === undefined ? undefined : etcd.keepAlive(id)
    const [{ succeeded, found }, seconds] = await Promise.all([compared, kept])
    if (held !== asked) return
    if (!succeeded) return lost(found[0] && readEntry(found[0], keys.subnets))
    if (seconds === 0) return lost(undefined)
    isConfirmed = true
    const renewed = seconds === undefined ? asked : { ...asked, endsAt: startedAt + seconds * 1_000 }
    held = renewed
    memory.holds(renewed)
    if (membership.state !== 'joined') return
    enter({ state: 'joined', lease: renewed, network: membership.network })
    options.onHeld?.(membership.network, ends(renewed) - now())
  }

  async function step() {
    try {
      if (!held || (await isOtherNetwork())) await join()
      else {
        await renew(held)
        if (failures > 0 && held)
          log.info(`cluster: the lease of ${podCIDROf(held.subnets)} is renewed again`)
      }
      failures = 0
    } catch (error) {
      failures++
      const reason = messageOf(error)
      const isNews = membership.reason !== reason
      if (isNews && !isStopping && !options.isTold?.(error)) log.warn(`cluster: ${reason}`)
      if (isNews && membership.state === 'joined') enter({ ...membership, reason })
      else if (isNews && membership.state === 'joining') enter({ state: 'joining', reason })
      // Of a fenced node, that it is fenced says more than why it does not join again.
      else if (isNews) enter({ state: 'fenced', reason: `${firstReason(membership.reason)}; ${reason}` })
    }
    wakeAt = now() + delayMs()
  }

  function delayMs(): number {
    if (failures > 0) {
      return retryDelay(failures, Math.min(5_000, Math.max(200, leaseTtl * 100)))
    }
    if (!held) return 0
    if (!isConfirmed) return 200
    if (held.endsAt === undefined) return 60_000
    const { ttl = leaseTtl } = held
    // One that began by another configuration may be shorter than that.
    const before = ttl === leaseTtl ? renewBefore : Math.min(renewBefore, ttl / 2)
    return Math.max(0, held.endsAt - before * 1_000 - now())
  }

  // Node's timers stand still while the machine is suspended: the clock is looked at, and at each tick first of all.
  const tick = () => {
    const time = now()
    if (held && ends(held) <= time)
      fence(
        `its lease of ${podCIDROf(held.subnets)} ends and could not be renewed${because(membership.reason)}`,
      )
    if (wakeAt <= time) wake()
  }
  const ticker = setInterval(tick, tickMs)

  async function run() {
    while (!isStopping) {
      await step()
      if (isStopping) return
      attemptedOnce()
      await new Promise<void>((resolve) => {
        wake = resolve
        tick()
      })
    }
  }

  const { promise: attempted, resolve: attemptedOnce } = withResolvers()

  const adopted = memory.adoptable((ttl) => now() + marginMs(ttl))
  if (adopted) {
    isConfirmed = false
    joined(adopted.lease, adopted.network)
    const { ttl, subnets } = adopted.lease
    // Another one would be another node's for a moment: for the others its pods would go, and their connections be cut.
    if (ttl !== undefined && ttl !== leaseTtl)
      log.warn(
        `cluster: ${otherLength(podCIDROf(subnets), { begunForMs: ttl * 1_000, leaseTTL: leaseTtl * 1_000 })}`,
      )
  }
  const running = run()

  return {
    get membership() {
      return membership
    },
    holds() {
      if (held && ends(held) <= now()) tick()
      return held !== undefined
    },
    attempted,
    noticed(changes) {
      for (const { key, revision, entry } of changes) {
        if (held && key === held.key && entry?.modRevision !== held.modRevision) {
          if (revision > held.modRevision) lost(entry)
          // Heard late, of before it was acquired; or etcd was restored from a copy, and counts anew: etcd is asked which.
          else hurry()
        }
        // The twin is gone.
        if (!held && displacedBy !== undefined && entry?.node?.instance !== displacedBy) hurry()
      }
    },
    unheard(problem) {
      unheard = problem
      save()
    },
    async stop({ release = false } = {}) {
      isStopping = true
      clearInterval(ticker)
      wake()
      await running
      attemptedOnce()
      const lease = held
      held = undefined
      if (!release || !lease) return
      const { key, modRevision, id } = lease
      const leaves =
        id === undefined ? [] : [{ delete: key }, { put: keys.used + keyNameOf(lease.subnets), value: '' }]
      const { succeeded } = await etcd.transaction([{ key, modRevision }], leaves)
      if (succeeded) memory.ended()
      // What else belongs to it ends too: what the others were told of this node's pods.
      if (id !== undefined) await etcd.revoke(id).catch(() => {})
      enter({ state: 'joining', reason: 'its lease was released when the daemon was stopped' })
    },
  }
}

function firstReason(reason = ''): string {
  return reason.split('; ', 1)[0] ?? ''
}

const because = (reason: string | undefined) => (reason === undefined ? '' : `: ${reason}`)

function withResolvers() {
  let resolve = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
