import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isCniError } from '../errors.ts'
import { isListFile, type LoadedNetwork, type LoadedNetworks, loadNetworks } from './load.ts'
import { watchPaths } from './watch-paths.ts'

export interface WatchOptions {
  /**
   * Called with the first reading, and whenever networks or problems change. A file that can't be understood is in
   * `problems`, and its last good network stays in `networks`; one that is still being written changes neither list.
   */
  readonly onChange: (networks: LoadedNetworks) => void
  /** Milliseconds without a change before a file counts as written; by default 200. */
  readonly settleMs?: number
  /** Ends the watch. */
  readonly signal?: AbortSignal
}

export interface NetworkWatch {
  /** What was read last. */
  readonly current: LoadedNetworks
  /** Resolves after the first reading. */
  readonly ready: Promise<void>
  close(): void
}

/** Watches a directory of network configurations: it may be absent, come, go and be replaced. */
export function watchNetworks(
  directory: string,
  { onChange, settleMs = 200, signal }: WatchOptions,
): NetworkWatch {
  let current: LoadedNetworks = { networks: [], problems: [] }
  let told: string | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let reading = Promise.resolve()
  const paths = watchPaths(() => schedule(settleMs))

  const ready = scan()
  if (signal?.aborted) close()
  signal?.addEventListener('abort', close, { once: true })
  return {
    get current() {
      return current
    },
    ready,
    close,
  }

  function schedule(delayMs: number) {
    if (closed) return
    clearTimeout(timer)
    timer = setTimeout(scan, delayMs)
  }

  // Watching begins before reading: a change in between is seen by one or the other.
  function scan(): Promise<void> {
    // A listener that throws fails one reading, not the watch.
    const before = reading.catch(() => {})
    reading = before.then(async () => {
      if (closed) return
      paths.set([directory, ...current.networks.map(({ network }) => join(directory, network.name))])
      const settledBefore = Date.now() - settleMs
      const loaded = await load(directory)
      const { networks, unsettled } = await keepLastGood(loaded, current.networks, settledBefore)
      const problems = loaded.problems.filter(({ path }) => !unsettled.has(path))
      if (closed) return
      current = { networks, problems }
      paths.set([directory, ...networks.map(({ network }) => join(directory, network.name))])
      if (unsettled.size > 0) schedule(settleMs)
      tell()
    })
    return reading
  }

  function tell() {
    const fingerprint = JSON.stringify([
      current.networks.map(({ path, network }) => [path, network.raw]),
      current.problems.map(({ path, error }) => [path, error.message]),
    ])
    if (fingerprint === told) return
    told = fingerprint
    onChange(current)
  }

  function close() {
    closed = true
    clearTimeout(timer)
    paths.close()
    signal?.removeEventListener('abort', close)
  }
}

// A directory that can't be read is a problem like a file's: the watch goes on.
async function load(directory: string): Promise<LoadedNetworks> {
  try {
    return await loadNetworks(directory)
  } catch (error) {
    if (!isCniError(error)) throw error
    return { networks: [], problems: [{ path: directory, error }] }
  }
}

async function keepLastGood(loaded: LoadedNetworks, before: readonly LoadedNetwork[], settledBefore: number) {
  const unsettled = new Set<string>()
  const kept: LoadedNetwork[] = []
  for (const { path } of loaded.problems) {
    const last = before.find((network) => network.path === path)
    if (last) kept.push(last)
    if (await changedSince(settledBefore, path)) unsettled.add(path)
  }
  return { networks: [...loaded.networks, ...kept].sort(byFile), unsettled }
}

const byFile = (a: LoadedNetwork, b: LoadedNetwork) =>
  Number(isListFile(b.path)) - Number(isListFile(a.path)) || (a.path < b.path ? -1 : 1)

// A change after the reading counts as well: what was read is not what is there. One in the future is the clock's.
async function changedSince(time: number, path: string): Promise<boolean> {
  try {
    const { ctimeMs } = await stat(path)
    return ctimeMs > time && ctimeMs <= Date.now()
  } catch {
    return false
  }
}
