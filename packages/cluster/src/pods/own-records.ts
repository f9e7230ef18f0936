import { type Logger, messageOf, podKey } from '@podwire/api'
import type { OwnPod } from '../cluster.ts'
import type { KeyValue } from '../etcd/answers.ts'
import type { Etcd } from '../etcd/client.ts'
import type { Operation } from '../etcd/transaction.ts'
import type { WatchedChange } from '../etcd/watch.ts'
import { formatPodRecord, isAddressOf, podKeyNameOf, type SharedPod } from '../layout/pod-record.ts'
import { keyNameOf } from '../layout/pod-subnets.ts'
import type { HeldLease } from '../leases/node.ts'
import { retryDelay } from '../retry-delay.ts'
import { limits } from './peer-table.ts'

/** The records of this node's pods, brought in line with its pods. */
export interface OwnRecords {
  /** All pods of this node. Nothing is written before they are known, as it would take away what is right. */
  setAll(pods: readonly OwnPod[]): void
  set(pod: OwnPod): void
  remove(sandboxId: string): void
  /** What is heard of etcd: all that there is, or what changed since. */
  heardAll(entries: readonly KeyValue[]): void
  heard(changes: readonly WatchedChange[]): void
  /** The lease that the records belong to; undefined: there is none. Of another one's all is to be heard again. */
  leased(lease: HeldLease | undefined): void
  readonly problem: string | undefined
  /** Writes what is due, for a moment at most. */
  stop(how: { readonly release: boolean }): Promise<void>
}

export interface OwnRecordsOptions {
  readonly etcd: Etcd
  readonly prefix: string
  readonly log: Logger
  /** Of a lease of their own, where the node has a reservation and so none. Seconds. */
  readonly leaseTtl: number
}

/** So many changes fit into a transaction, as etcd is set up by default. */
const mostChanges = 100
/** What happens together is written together, and a node writes this often at most. Milliseconds. */
const settleMs = 50
const pauseMs = 250
const mostWaitMs = 10_000
/** For what is due when the daemon stops. Milliseconds. */
const lastMs = 1_000

export function keepOwnRecords({ etcd, prefix, log, leaseTtl }: OwnRecordsOptions): OwnRecords {
  let wanted: Map<string, OwnPod> | undefined
  /** Of this node's, by key; undefined: nobody listed them yet. */
  let there: Map<string, KeyValue> | undefined
  /** What this process changed last, by key: what is heard of before that is old. */
  const changedAt = new Map<string, number>()
  let lease: HeldLease | undefined
  /** Of a node with a reservation. */
  let ownLease: { readonly id: string; readonly keptAt: number } | undefined
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let last = Number.NEGATIVE_INFINITY
  let failures = 0
  let problem: string | undefined
  let isStopped = false
  let cutTold: ReadonlySet<string> = new Set()

  const ownPrefix = () => (lease ? `${prefix}${keyNameOf(lease.subnets)}/` : undefined)

  function schedule(ms = settleMs) {
    if (isStopped || running) return
    clearTimeout(timer)
    const due = Math.max(ms, last + pauseMs - performance.now())
    timer = setTimeout(() => void flush(), due).unref()
  }

  /** What should be there, by key. */
  function records(of: HeldLease): Map<string, string> {
    const merged = new Map<string, SharedPod>()
    for (const { sandboxId: _, ...pod } of wanted?.values() ?? []) {
      const addresses = pod.addresses.filter((address) => isAddressOf(of.subnets, address))
      // One of an earlier pod CIDR: nobody has a way to it.
      if (addresses.length === 0) continue
      const other = merged.get(podKey(pod))
      if (!other && merged.size >= limits.podsOfNode) continue
      merged.set(podKey(pod), {
        ...pod,
        addresses: [...new Set([...(other?.addresses ?? []), ...addresses])].sort(),
        annotations: { ...pod.annotations, ...other?.annotations },
      })
    }
    const cut = new Set<string>()
    const found = new Map<string, string>()
    for (const pod of merged.values()) {
      const { value, isCut } = formatPodRecord(pod)
      if (isCut) cut.add(podKey(pod))
      found.set(prefix + podKeyNameOf(of.subnets, pod), value)
    }
    for (const pod of cut)
      if (!cutTold.has(pod))
        log.warn(
          `cluster: of pod ${pod} the other nodes are not told all: its annotations, or addresses, are too many`,
        )
    cutTold = cut
    return found
  }

  function differences(of: HeldLease, id: string): Operation[] {
    const should = records(of)
    const gone = [...(there?.keys() ?? [])].filter((key) => !should.has(key))
    const puts = [...should].filter(([key, value]) => {
      const has = there?.get(key)
      return has?.value !== value || has.lease !== id
    })
    return [
      ...gone.map((key) => ({ delete: key })),
      ...puts.map(([key, value]) => ({ put: key, value, lease: id })),
    ]
  }

  async function leaseId(of: HeldLease): Promise<string> {
    if (of.id !== undefined) return of.id
    const now = performance.now()
    if (ownLease && now - ownLease.keptAt < leaseTtl * 333) return ownLease.id
    const seconds = ownLease ? await etcd.keepAlive(ownLease.id) : 0
    ownLease = { id: seconds > 0 && ownLease ? ownLease.id : (await etcd.grant(leaseTtl)).id, keptAt: now }
    return ownLease.id
  }

  async function write(): Promise<void> {
    const of = lease
    if (!of || !wanted || !there) return
    const id = await leaseId(of)
    const due = differences(of, id)
    for (let at = 0; at < due.length && lease === of; at += mostChanges) {
      const some = due.slice(at, at + mostChanges)
      // Not under what is another node's by now.
      const isOwn = [
        { key: of.key, modRevision: of.modRevision },
        { key: of.key, lease: of.id },
      ]
      const { succeeded, revision } = await etcd.transaction(isOwn, some)
      if (!succeeded) throw new Error('the node has another lease by now')
      for (const one of some) {
        if ('get' in one) continue
        const key = 'put' in one ? one.put : one.delete
        changedAt.set(key, revision)
        if ('put' in one) {
          const { value } = one
          const createRevision = there.get(key)?.createRevision ?? revision
          there.set(key, { key, value, lease: id, createRevision, modRevision: revision })
        } else there.delete(key)
      }
    }
  }

  function flush(): Promise<void> {
    running ??= (async () => {
      last = performance.now()
      try {
        await write()
        failures = 0
        problem = undefined
      } catch (error) {
        failures++
        const reason = `the other nodes are not told of this one's pods: ${messageOf(error)}`
        if (problem !== reason && !isStopped) log.warn(`cluster: ${reason}`)
        problem = reason
      }
    })().finally(() => {
      running = undefined
      // What changed meanwhile, and what keeps a lease of its own.
      if (failures > 0) schedule(retryDelay(failures, mostWaitMs))
      else if (isDue()) schedule()
      else if (ownLease && lease && lease.id === undefined) schedule(leaseTtl * 333)
    })
    return running
  }

  function isDue(): boolean {
    const id = lease?.id ?? ownLease?.id
    return (
      lease !== undefined &&
      wanted !== undefined &&
      there !== undefined &&
      (id === undefined || differences(lease, id).length > 0)
    )
  }

  return {
    get problem() {
      return problem
    },
    setAll(pods) {
      wanted = new Map(pods.map((pod) => [pod.sandboxId, pod]))
      schedule()
    },
    set(pod) {
      wanted?.set(pod.sandboxId, pod)
      schedule()
    },
    remove(sandboxId) {
      if (wanted?.delete(sandboxId)) schedule()
    },
    heardAll(entries) {
      const own = ownPrefix()
      if (own === undefined) return
      changedAt.clear()
      there = new Map(entries.filter(({ key }) => key.startsWith(own)).map((entry) => [entry.key, entry]))
      schedule()
    },
    heard(changes) {
      const own = ownPrefix()
      let isAbout = false
      for (const { change, entry } of changes) {
        const { key, modRevision } = entry
        if (own === undefined || !key.startsWith(own) || !there) continue
        const changed = changedAt.get(key) ?? 0
        if (modRevision >= changed) changedAt.delete(key)
        if (modRevision <= changed) continue
        if (change === 'put') there.set(key, entry)
        else there.delete(key)
        isAbout = true
      }
      if (isAbout) schedule()
    },
    leased(next) {
      if (lease?.key !== next?.key) there = undefined
      lease = next
      if (next) schedule()
    },
    async stop({ release }) {
      isStopped = true
      clearTimeout(timer)
      await running
      if (!release && isDue() && failures === 0) {
        let late: NodeJS.Timeout | undefined
        const patience = new Promise<void>((resolve) => {
          late = setTimeout(resolve, lastMs)
        })
        await Promise.race([flush(), patience])
        clearTimeout(late)
      }
      // The others end with the node's lease.
      if (release && ownLease) await etcd.revoke(ownLease.id).catch(() => {})
    },
  }
}
