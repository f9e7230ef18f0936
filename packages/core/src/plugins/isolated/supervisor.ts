import { setTimeout as sleep } from 'node:timers/promises'
import { errors } from '../../errors.ts'
import type { PluginProcess } from './plugin-process.ts'

/** Told of what becomes of a plugin's process. */
export interface CrashListener {
  crashed(error: Error, crashes: number): void
  restarted(durationMs: number): void
  quarantined(error: Error): void
}

/** Keeps a plugin's process running. */
export interface Supervisor {
  /** The process; while it is started again, the next one. Rejects with `PLUGIN_QUARANTINED` while it stays down. */
  current(): Promise<PluginProcess>
  /** Forgets its crashes, and starts it again where it stays down; returns whether it did. Rejects where it crashes again. */
  reset(): Promise<boolean>
  /** Ends it for good, after `before`. */
  stop(before: (process: PluginProcess) => Promise<unknown>): Promise<void>
}

/** So many crashes in so long leave a plugin down: as an editor does with what extends it. */
const maxCrashes = 3
const windowMs = 5 * 60_000

/** 100 ms after the first crash, a second after the next: a kill by mistake is hardly noticed, a plugin that can't work hardly felt. */
const backOffMs = (crashes: number) => 10 * 10 ** crashes

/** @param launch starts another process, to the point where the crashed one was */
export function supervise(
  plugin: string,
  first: PluginProcess,
  launch: () => Promise<PluginProcess>,
  listener: CrashListener,
): Supervisor {
  const stopping = new AbortController()
  let crashes: number[] = []
  let isQuarantined = false
  let current: Promise<PluginProcess>

  const become = (next: Promise<PluginProcess>) => {
    current = next
    // Told to whoever calls.
    next.catch(() => {})
    return next
  }
  const watched = (process: PluginProcess) => {
    process.onCrash((why) => {
      if (!stopping.signal.aborted) become(restart(why))
    })
    return process
  }
  const restart = async (first: Error): Promise<PluginProcess> => {
    for (let why = first; ; ) {
      const now = performance.now()
      crashes = [...crashes.filter((at) => at > now - windowMs), now]
      listener.crashed(why, crashes.length)
      if (crashes.length >= maxCrashes) {
        isQuarantined = true
        const error = errors.PLUGIN_QUARANTINED({ plugin, crashes: maxCrashes, windowMs }, why)
        listener.quarantined(error)
        throw error
      }
      await sleep(backOffMs(crashes.length), undefined, { signal: stopping.signal, ref: false })
      try {
        return await begin()
      } catch (error) {
        stopping.signal.throwIfAborted()
        why = error as Error // launch rejects with nothing else
      }
    }
  }
  const begin = async () => {
    const started = performance.now()
    const process = watched(await launch())
    listener.restarted(performance.now() - started)
    return process
  }

  become(Promise.resolve(first))
  watched(first)
  return {
    current: () => current,
    async reset() {
      crashes = []
      if (!isQuarantined) return false
      isQuarantined = false
      await become(begin().catch((error: Error) => restart(error)))
      return true
    },
    async stop(before) {
      stopping.abort(errors.PLUGIN_STOPPED({ plugin }))
      const process = await current.catch(() => undefined)
      try {
        if (process) await before(process)
      } finally {
        await process?.stop()
      }
    },
  }
}
