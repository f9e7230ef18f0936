import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Network } from '../config/network-config.ts'
import { badResult, type CniError, cacheFailed } from '../errors.ts'
import type { Attachment } from '../invoke/environment.ts'
import type { AnyResult } from '../result/result.ts'
import { type CachedAttachment, decodeEntry, encodeEntry } from './entry.ts'

/** What names an entry. */
export interface EntryKey {
  readonly network: string
  readonly containerId: string
  readonly ifName: string
}

/** A file in the cache that isn't an entry anyone can read. */
export interface CorruptEntry {
  readonly path: string
  /** `NETWORK-CONTAINERID-IFNAME` */
  readonly file: string
  readonly error: CniError
}

/** What the cache remembers. */
export interface CacheContents {
  /** Sorted by network, container and interface. */
  readonly attachments: readonly CachedAttachment[]
  /** Entries that can't be read. DEL by their name removes them, and so does GC. */
  readonly corrupt: readonly CorruptEntry[]
}

/** The results of ADD, a file each in `DIRECTORY/results`, which Go's libcni reads and writes too. */
export interface Cache {
  /** Replaces the entry in one step: a reader sees the old one or the new one. */
  write(network: Network, attachment: Attachment, result?: AnyResult): Promise<void>
  /** @throws CniError `ERR_CNI_CACHE` for an entry that can't be read; a missing one is undefined */
  read(key: EntryKey): Promise<CachedAttachment | undefined>
  /** Removes the entry, whatever is in it; one that isn't there is fine. */
  remove(file: EntryKey | string): Promise<void>
  list(): Promise<CacheContents>
  path(key: EntryKey): string
}

// A writer that was killed leaves its temporary file behind; an hour later nobody is going to rename it.
const staleMs = 3_600_000

// An entry is some kilobytes: a synchronous call takes 30 µs, the way to a thread and back several times that at each of four
// steps, which together were a tenth of an ADD.
export function openCache(directory: string): Cache {
  const results = join(directory, 'results')
  const temporary = join(results, '.tmp')
  const path = (key: EntryKey | string) => join(results, typeof key === 'string' ? key : entryFile(key))

  return {
    path,

    async write(network, attachment, result) {
      const target = path({ network: network.name, ...attachment })
      const draft = join(temporary, randomBytes(8).toString('hex'))
      try {
        const text = encodeEntry(network, attachment, result)
        try {
          writeFileSync(draft, text, { mode: 0o600 })
        } catch (error) {
          if (codeOf(error) !== 'ENOENT') throw error
          mkdirSync(temporary, { recursive: true, mode: 0o700 })
          writeFileSync(draft, text, { mode: 0o600 })
        }
        renameSync(draft, target)
      } catch (cause) {
        await rm(draft, { force: true }).catch(() => {})
        throw cacheFailed("can't write the cache entry", target, cause)
      }
    },

    async read(key) {
      const bytes = readIfThere(path(key))
      try {
        return bytes && decodeEntry(bytes, key)
      } catch (cause) {
        throw cacheFailed("can't understand the cache entry", path(key), cause)
      }
    },

    async remove(key) {
      try {
        await rm(path(key), { force: true })
      } catch (cause) {
        // A directory that turned into a file holds no entry.
        if (codeOf(cause) === 'ENOTDIR') return
        throw cacheFailed("can't remove the cache entry", path(key), cause)
      }
    },

    async list() {
      await removeStale(temporary)
      const files = await filesIn(results)
      const outcomes = await Promise.all(files.map((file) => readEntry(path(file), file)))
      return {
        attachments: outcomes
          .filter((outcome) => outcome !== undefined)
          .filter((outcome) => 'network' in outcome),
        corrupt: outcomes.filter((outcome) => outcome !== undefined).filter((outcome) => 'error' in outcome),
      }
    },
  }
}

/** The file name of an entry. */
export const entryFile = ({ network, containerId, ifName }: EntryKey): string =>
  `${network}-${containerId}-${ifName}`

async function readEntry(path: string, file: string): Promise<CachedAttachment | CorruptEntry | undefined> {
  try {
    const bytes = readIfThere(path)
    const entry = bytes && decodeEntry(bytes)
    if (entry && entryFile(entry) !== file) throw badResult(`it is about ${entryFile(entry)}`)
    return entry
  } catch (cause) {
    return { path, file, error: cacheFailed("can't understand the cache entry", path, cause) }
  }
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path)
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENOTDIR') return undefined
    throw cacheFailed("can't read the cache entry", path, cause)
  }
}

async function filesIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .sort()
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENOTDIR') return []
    throw cacheFailed("can't list the cache", directory, cause)
  }
}

async function removeStale(directory: string): Promise<void> {
  const drafts = await readdir(directory).catch(() => [])
  for (const draft of drafts) {
    const path = join(directory, draft)
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    )
    if (age > staleMs) await rm(path, { force: true }).catch(() => {})
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code // node:fs throws nothing else
