import type { Logger } from '@podwire/api'
import type { KeyValue } from '../etcd/answers.ts'
import type { Etcd } from '../etcd/client.ts'
import { mirror } from '../etcd/mirror.ts'
import type { WatchedChange } from '../etcd/watch.ts'
import type { Keys } from '../layout/keys.ts'
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
  /** Told why they are not heard of any more; undefined: they are again. */
  readonly onProblem?: (problem: string | undefined) => void
}

/** Keeps up with the leases of all nodes. */
export function keepLeaseTable({
  etcd,
  keys,
  log,
  onChanges,
  onProblem = () => {},
}: LeaseTableOptions): LeaseTable {
  let entries: Map<string, LeaseEntry> | undefined

  function onList(found: readonly KeyValue[], revision: number): void {
    const before = entries ?? new Map<string, LeaseEntry>()
    entries = new Map()
    for (const one of found) {
      const entry = readEntry(one, keys.subnets)
      if (entry) entries.set(entry.key, entry)
    }
    const isThere = entries
    const gone = [...before.keys()].filter((key) => !isThere.has(key))
    onChanges(
      [
        ...gone.map((key) => ({ key, revision, entry: undefined })),
        ...[...isThere.values()].map((entry) => ({ key: entry.key, revision: entry.modRevision, entry })),
      ],
      table,
    )
  }

  function take(changes: readonly WatchedChange[]): void {
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

  const followed = mirror({
    etcd,
    prefix: keys.subnets,
    what: 'the leases',
    log,
    onList,
    onChanges: take,
    onProblem,
  })
  const table: LeaseTable = {
    get entries() {
      return entries
    },
    get problem() {
      return followed.problem
    },
    stop: () => followed.stop(),
  }
  return table
}
