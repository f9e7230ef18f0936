import { readFileSync } from 'node:fs'

// The kernel forgets a hundred links as fast as one, so that many at once take hardly longer.
const most = 64
const least = 4
// Open whatever happens, in a process that serves clients besides.
const reservedFiles = 56

/** Works on many pods, as many of them at once as the process may have files open for: each holds a lock, and a few for a moment. */
export async function inParallel<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const rest = [...items.entries()]
  const worker = async () => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      const [index, item] = next
      results[index] = await run(item)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce(), items.length) }, worker))
  return results
}

function atOnce(): number {
  const [, files] = /^Max open files\s+(\d+)/m.exec(limits()) ?? []
  if (files === undefined) return most
  return Math.max(least, Math.min(most, Math.floor((Number(files) - reservedFiles) / 4)))
}

function limits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return ''
  }
}
