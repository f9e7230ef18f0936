import { setTimeout as sleep } from 'node:timers/promises'
import { isPodwireError, type Logger, messageOf } from '@podwire/api'
import { retryDelay } from '../retry-delay.ts'
import type { KeyValue } from './answers.ts'
import type { Etcd } from './client.ts'
import type { WatchedChange } from './watch.ts'

/** What is below a prefix, followed as it changes. */
export interface Mirror {
  /** Why it is not heard of now. */
  readonly problem: string | undefined
  /** Has everything listed again. */
  listAgain(): void
  stop(): Promise<void>
}

export interface MirrorOptions {
  readonly etcd: Etcd
  readonly prefix: string
  /** In the log: `the leases`. */
  readonly what: string
  readonly log: Logger
  /** All that there is, at the beginning and after a gap. What changed since comes when it is done. */
  onList(entries: readonly KeyValue[], revision: number): Promise<void> | void
  /** What changed since, in order. */
  onChanges(changes: readonly WatchedChange[]): void
  /** Why it is not heard of any more; undefined: it is heard of again. */
  onProblem?(problem: string | undefined): void
}

/** Longest wait between two attempts. Milliseconds. */
const mostMs = 5_000

/** Lists what is below a prefix, watches it, and lists it again where etcd forgot what happened meanwhile. */
export function mirror(options: MirrorOptions): Mirror {
  const { etcd, prefix, what, log, onList, onChanges, onProblem = () => {} } = options
  const stopped = new AbortController()
  let round = new AbortController()
  let problem: string | undefined
  let from: number | undefined

  function enter(next: string | undefined): void {
    if (next === problem) return
    if (problem === undefined) log.warn(`cluster: ${what} are not heard of: ${next}`)
    if (next === undefined) log.info(`cluster: ${what} are heard of again`)
    problem = next
    onProblem(problem)
  }

  async function list(): Promise<number> {
    const { revision, entries } = await etcd.list(prefix)
    enter(undefined)
    await onList(entries, revision)
    return revision + 1
  }

  async function follow(signal: AbortSignal): Promise<void> {
    if (from === undefined) {
      const next = await list()
      // It is to be listed again already.
      if (signal.aborted) return
      from = next
    }
    for await (const { revision, changes } of etcd.watch(prefix, from, signal)) {
      enter(undefined)
      from = revision + 1
      if (changes.length > 0) onChanges(changes)
    }
  }

  async function run(): Promise<void> {
    for (let failures = 0; !stopped.signal.aborted; ) {
      const began = performance.now()
      const of = round
      try {
        await follow(AbortSignal.any([stopped.signal, of.signal]))
      } catch (error) {
        if (stopped.signal.aborted) return
        if (of.signal.aborted) continue
        failures = performance.now() - began > mostMs ? 1 : failures + 1
        if (isPodwireError(error) && error.code === 'ETCD_COMPACTED') {
          log.info(`cluster: ${messageOf(error)}: ${what} are listed again`)
          from = undefined
        } else enter(messageOf(error))
        await sleep(retryDelay(failures, mostMs), undefined, { signal: stopped.signal }).catch(() => {})
      }
    }
  }

  const running = run()
  return {
    get problem() {
      return problem
    },
    listAgain() {
      from = undefined
      const before = round
      round = new AbortController()
      before.abort()
    },
    async stop() {
      stopped.abort()
      await running
    },
  }
}
