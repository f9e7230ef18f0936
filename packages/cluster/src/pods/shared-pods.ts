import { setTimeout as sleep } from 'node:timers/promises'
import { type Logger, messageOf, type PeerNode, type PeerPodsChange } from '@podwire/api'
import type { ClusterEvent, ClusterPods } from '../cluster.ts'
import type { Etcd } from '../etcd/client.ts'
import { type Mirror, mirror } from '../etcd/mirror.ts'
import type { Keys } from '../layout/keys.ts'
import { rangesOf } from '../layout/network.ts'
import type { LeaseEntry } from '../leases/entry.ts'
import type { Membership } from '../leases/member.ts'
import { retryDelay } from '../retry-delay.ts'
import { keepOwnRecords } from './own-records.ts'
import { createPeerTable } from './peer-table.ts'

export interface SharedPods extends ClusterPods {
  /** This node, or others', came, went or changed. */
  placed(membership: Membership, leases: ReadonlyMap<string, LeaseEntry> | undefined): void
  readonly problem: string | undefined
  /** Writes what is due, for a moment at most; before the lease is left. */
  leave(how: { readonly release: boolean }): Promise<void>
  /** After etcd is asked no more. */
  stop(): Promise<void>
}

export interface SharedPodsOptions {
  readonly etcd: Etcd
  readonly keys: Keys
  readonly log: Logger
  /** Seconds. */
  readonly leaseTtl: number
  /** The next waits until it is done; what it rejects is told again. */
  readonly onChange: (change: PeerPodsChange) => Promise<void> | void
  readonly tell: (event: ClusterEvent) => void
}

/** Of one telling: what one node has is never cut in two. More would hold up a plugin, or be too much for one in a process of its own. */
const mostBytes = 2 ** 18
/** What changes again and again is told this often. Milliseconds. */
const pauseMs = 20
/** Of what can't be, so many are told at a time, and so often. */
const mostNotes = 20
const notesMs = 1_000
const mostWaitMs = 5_000

export function sharePods({ etcd, keys, log, leaseTtl, onChange, tell }: SharedPodsOptions): SharedPods {
  const table = createPeerTable(keys.pods)
  const own = keepOwnRecords({ etcd, prefix: keys.pods, log, leaseTtl })
  const stopped = new AbortController()
  let followed: Mirror | undefined
  let joinedKey: string | undefined
  /** Whether the records were listed since this node has its place. */
  let isListed = false
  let hasLeases = false
  /** Whether all is to be told: which nodes there are, too. */
  let isWhole = false
  const dirty = new Set<string>()
  let telling: Promise<void> | undefined
  let noting: NodeJS.Timeout | undefined

  function follow() {
    followed = mirror({
      etcd,
      prefix: keys.pods,
      what: 'the pods of other nodes',
      log,
      onList: async (entries) => {
        await table.replace(entries)
        own.heardAll(entries)
        if (!isListed) isWhole = true
        isListed = true
        changed()
      },
      onChanges: (changes) => {
        table.change(changes)
        own.heard(changes)
        changed()
      },
    })
  }

  function changed() {
    for (const node of table.takeDirty()) dirty.add(node)
    if (table.takeRoom()) followed?.listAgain()
    note()
    if (!isDue()) return
    telling ??= run().finally(() => {
      telling = undefined
      changed()
    })
  }

  function isDue(): boolean {
    if (stopped.signal.aborted || (!isWhole && dirty.size === 0)) return false
    // What an earlier process heard of stays as it is while nobody tells of anything.
    return joinedKey === undefined || (isListed && hasLeases)
  }

  async function run(): Promise<void> {
    for (let failures = 0; isDue(); ) {
      const { change, nodes } = next()
      try {
        await onChange(change)
        failures = 0
        await sleep(pauseMs, undefined, { signal: stopped.signal }).catch(() => {})
      } catch (error) {
        // It is tried again and again.
        if (failures === 0)
          log.warn(`cluster: the network plugin does not take other nodes' pods: ${messageOf(error)}`)
        for (const node of nodes) dirty.add(node)
        isWhole ||= change.all !== undefined
        await sleep(retryDelay(++failures, mostWaitMs), undefined, { signal: stopped.signal }).catch(() => {})
      }
    }
  }

  function next(): { change: PeerPodsChange; nodes: readonly string[] } {
    const isAll = isWhole
    isWhole = false
    const known = joinedKey === undefined ? [] : [...table.nodes()]
    if (isAll) for (const node of known) dirty.add(node)
    if (joinedKey === undefined) dirty.clear()
    const nodes: string[] = []
    const found: PeerNode[] = []
    let bytes = 0
    for (const node of dirty) {
      bytes += table.bytesOf(node)
      if (found.length > 0 && bytes > mostBytes) break
      dirty.delete(node)
      nodes.push(node)
      const peer = table.podsOf(node)
      if (peer) found.push(peer)
    }
    const all = known.flatMap((node) => table.podCIDROf(node) ?? [])
    return { change: { ...(isAll ? { all } : {}), changed: found }, nodes }
  }

  function note() {
    if (stopped.signal.aborted) return
    noting ??= setTimeout(() => {
      noting = undefined
      const notes = table.takeNotes()
      if (notes.length === 0) return
      const more = notes.length - mostNotes
      tell({
        event: 'refused',
        what: [...notes.slice(0, mostNotes), ...(more > 0 ? [`and ${more} more`] : [])],
      })
    }, notesMs).unref()
  }

  return {
    setAll: own.setAll,
    set: own.set,
    remove: own.remove,
    repeat() {
      isWhole = true
      changed()
    },
    placed(membership, leases) {
      const lease = membership.state === 'joined' ? membership.lease : undefined
      const isMoved = lease?.key !== joinedKey
      joinedKey = lease?.key
      const place =
        membership.state === 'joined' && leases
          ? { subnets: membership.lease.subnets, networks: rangesOf(membership.network) }
          : undefined
      hasLeases = leases !== undefined
      table.place(place, leases ?? new Map(), keys.subnets)
      if (isMoved) {
        own.leased(lease)
        isWhole = true
        isListed = false
        if (lease && followed) followed.listAgain()
        else if (lease) follow()
      }
      changed()
    },
    get problem() {
      const [first] = table.refused
      if (first) return `what etcd has of ${table.refused.size} pods can't be: ${first.join(': ')}`
      return followed?.problem ?? own.problem
    },
    async leave(how) {
      stopped.abort()
      clearTimeout(noting)
      await own.stop(how)
    },
    async stop() {
      await followed?.stop()
      await telling
    },
  }
}
