import { setTimeout as sleep } from 'node:timers/promises'
import { isPodwireError, type Logger, messageOf } from '@podwire/api'
import type { Etcd } from '../etcd/client.ts'
import type { Keys } from '../layout/keys.ts'
import { retryDelay } from '../retry-delay.ts'
import { type LeaseEntry, readEntry } from './entry.ts'

/** What became of a key of a lease, and at which revision. */
export interface LeaseChange {
  readonly key: string
  readonly revision: number
  /** Undefined: it is gone. */
  readonly entry: LeaseEntry | undefined
}

export interface LeaseTable {
  /** By key, as they were last heard of. Undefined before they ever were. */
  readonly entries: ReadonlyMap<string, LeaseEntry> | undefined
  /** Why they are not heard of now. */
  readonly problem: string | undefined
  stop(): Promise<void>
}

export interface LeaseTableOptions {
  readonly etcd: Etcd
  readonly keys: Keys
  readonly log: Logger
  /** Called with what changed; after a gap with all that there is, and what is gone since. */
  readonly onChanges: (changes: readonly LeaseChange[], table: LeaseTable) => void
}

/** Longest wait between two attempts. Milliseconds. */
const mostMs = 5_000

/** Keeps up with the leases of all nodes: lists them, watches, and lists again where etcd forgot what happened meanwhile. */
export function keepLeaseTable({ etcd, keys, log, onChanges }: LeaseTableOptions): LeaseTable {
  const stopped = new AbortController()
  let entries: Map<string, LeaseEntry> | undefined
  let problem: string | undefined
  let from: number | undefined

  const table: LeaseTable = {
    get entries() {
      return entries
    },
    get problem() {
      return problem
    },
    async stop() {
      stopped.abort()
      await running
    },
  }

  async function list(): Promise<number> {
    const { revision, entries: found } = await etcd.list(keys.subnets)
    const before = entries ?? new Map<string, LeaseEntry>()
    entries = new Map()
    for (const one of found) {
      const entry = readEntry(one, keys.subnets)
      if (entry) entries.set(entry.key, entry)
    }
    const isThere = entries
    const gone = [...before.keys()].filter((key) => !isThere.has(key))
    problem = undefined
    onChanges(
      [
        ...gone.map((key) => ({ key, revision, entry: undefined })),
        ...[...isThere.values()].map((entry) => ({ key: entry.key, revision: entry.modRevision, entry })),
      ],
      table,
    )
    return revision + 1
  }

  async function follow(): Promise<void> {
    from ??= await list()
    for await (const { revision, changes } of etcd.watch(keys.subnets, from, stopped.signal)) {
      problem = undefined
      from = revision + 1
      const told = changes.flatMap(({ change, entry: { key, modRevision }, entry }): LeaseChange[] => {
        if (change === 'deleted') return [{ key, revision: modRevision, entry: undefined }]
        const read = readEntry(entry, keys.subnets)
        return read ? [{ key, revision: modRevision, entry: read }] : []
      })
      for (const { key, entry } of told) {
        if (entry) entries?.set(key, entry)
        else entries?.delete(key)
      }
      if (told.length > 0) onChanges(told, table)
    }
  }

  async function run(): Promise<void> {
    for (let failures = 0; !stopped.signal.aborted; ) {
      const began = performance.now()
      try {
        await follow()
      } catch (error) {
        if (stopped.signal.aborted) return
        failures = performance.now() - began > mostMs ? 1 : failures + 1
        if (isPodwireError(error) && error.code === 'ETCD_COMPACTED') {
          log.info(`cluster: ${messageOf(error)}: the leases are listed again`)
          from = undefined
        } else {
          if (problem === undefined) log.warn(`cluster: the leases are not heard of: ${messageOf(error)}`)
          problem = messageOf(error)
        }
        await sleep(retryDelay(failures, mostMs), undefined, { signal: stopped.signal }).catch(() => {})
      }
    }
  }

  const running = run()
  return table
}
