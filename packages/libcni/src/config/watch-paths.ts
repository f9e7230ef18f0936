import { type FSWatcher, statSync, watch } from 'node:fs'
import { dirname } from 'node:path'

/** Watchers on a changing set of directories. */
export interface PathWatchers {
  /** Watches these directories and their parents; those that aren't there, by their nearest ancestor that is. */
  set(directories: readonly string[]): void
  close(): void
}

interface Watched {
  readonly watcher: FSWatcher
  /** Which directory it was: a path can come to mean another. */
  readonly identity: string
}

// Where the kernel gives no watches, because all are taken or the filesystem has none.
const pollMs = 2000

export function watchPaths(onEvent: () => void): PathWatchers {
  const watched = new Map<string, Watched>()
  let poll: NodeJS.Timeout | undefined

  return {
    set(directories) {
      const wanted = new Map(directories.flatMap((directory) => [...standIns(directory)]))
      for (const [path, { watcher, identity }] of watched)
        if (wanted.get(path) !== identity) {
          watcher.close()
          watched.delete(path)
        }
      for (const [path, identity] of wanted) if (!watched.has(path)) add(path, identity)
    },
    close() {
      clearInterval(poll)
      for (const { watcher } of watched.values()) watcher.close()
      watched.clear()
    },
  }

  function add(path: string, identity: string) {
    try {
      const watcher = watch(path, onEvent)
      watcher.on('error', onEvent)
      watched.set(path, { watcher, identity })
    } catch {
      poll ??= setInterval(onEvent, pollMs)
    }
  }
}

// The directory where it is one, and its parent, which sees it come, go or be replaced.
function* standIns(directory: string): Generator<[path: string, identity: string]> {
  const identity = identify(directory)
  if (identity) yield [directory, identity]
  for (let path = dirname(directory); ; path = dirname(path)) {
    const ancestor = identify(path)
    if (ancestor) return yield [path, ancestor]
    if (path === dirname(path)) return
  }
}

function identify(path: string): string | undefined {
  try {
    const stats = statSync(path)
    return stats.isDirectory() ? `${stats.dev}:${stats.ino}` : undefined
  } catch {
    return undefined
  }
}
