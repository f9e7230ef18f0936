import { readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, ignoring } from '@podwire/api'
import { isTemporaryFile, readFileIfThere, sweepTemporaryFiles, writeFileWhole } from '@podwire/api/files'
import type { Network } from '../config/network-config.ts'
import { badResult, type CniError, errors } from '../errors.ts'
import type { Attachment } from '../invoke/environment.ts'
import type { AnyResult } from '../result/result.ts'
import { type CachedAttachment, decodeEntry, type EntryKey, encodeEntry } from './entry.ts'
import { ownerOf } from './owner.ts'

/** A file in the cache that can't be understood. */
export interface CorruptEntry {
  readonly path: string
  /** `NETWORK-CONTAINERID-IFNAME` */
  readonly file: string
  /** Whose it is, where that is certain. */
  readonly owner?: EntryKey
  readonly error: CniError
}

/** What the cache remembers. */
export interface CacheContents {
  /** Sorted by network, container and interface. */
  readonly attachments: readonly CachedAttachment[]
  /** Entries that can't be read. DEL by their name removes them; GC those whose owner is certain. */
  readonly corrupt: readonly CorruptEntry[]
}

/** The results of ADD, a file each in `DIRECTORY/results`, which Go's libcni reads and writes too. */
export interface Cache {
  /** Replaces the entry in one step: a reader sees the old one or the new one. */
  write(network: Network, attachment: Attachment, result?: AnyResult): Promise<void>
  /** @throws CniError `ERR_CNI_CACHE` for an entry that can't be read; a missing one is undefined */
  read(key: EntryKey): Promise<CachedAttachment | undefined>
  /** Removes the entry, whatever is in it; one that isn't there is fine. */
  remove(key: EntryKey): Promise<void>
  list(): Promise<CacheContents>
  path(key: EntryKey): string
}

export function openCache(directory: string): Cache {
  const results = join(directory, 'results')
  const path = (key: EntryKey) => join(results, entryFile(key))

  return {
    path,

    async write(network, attachment, result) {
      const file = path({ network: network.name, ...attachment })
      try {
        writeFileWhole(file, encodeEntry(network, attachment, result))
      } catch (cause) {
        throw errors.ERR_CNI_CACHE({ problem: "can't write the cache entry", path: file }, cause)
      }
    },

    async read(key) {
      const file = path(key)
      const text = readIfThere(file)
      try {
        return text === undefined ? undefined : decodeEntry(text, key)
      } catch (cause) {
        throw errors.ERR_CNI_CACHE({ problem: "can't understand the cache entry", path: file }, cause)
      }
    },

    async remove(key) {
      // Below what is not a directory, or with a name that no directory takes, there is nothing to remove.
      await unlink(path(key))
        .catch(ignoring('ENOENT', 'ENOTDIR', 'ENAMETOOLONG'))
        .catch((cause) => {
          throw errors.ERR_CNI_CACHE({ problem: "can't remove the cache entry", path: path(key) }, cause)
        })
    },

    async list() {
      const attachments: CachedAttachment[] = []
      const corrupt: CorruptEntry[] = []
      for (const file of await filesIn(results)) {
        const outcome = readEntry(join(results, file), file)
        if (outcome && 'error' in outcome) corrupt.push(outcome)
        else if (outcome) attachments.push(outcome)
      }
      return { attachments, corrupt }
    },
  }
}

/** The file name of an entry. */
export const entryFile = ({ network, containerId, ifName }: EntryKey): string =>
  `${network}-${containerId}-${ifName}`

function readEntry(path: string, file: string): CachedAttachment | CorruptEntry | undefined {
  let text: string | undefined
  try {
    text = readIfThere(path)
    if (text === undefined) return undefined
    const entry = decodeEntry(text)
    if (entryFile(entry) !== file) throw badResult(`it is about ${entryFile(entry)}`)
    return entry
  } catch (cause) {
    const owner = ownerOf(file, text ?? '')
    const error = errors.ERR_CNI_CACHE({ problem: "can't understand the cache entry", path }, cause)
    return { path, file, ...(owner && { owner }), error }
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileIfThere(path)
  } catch (cause) {
    throw errors.ERR_CNI_CACHE({ problem: "can't read the cache entry", path }, cause)
  }
}

async function filesIn(directory: string): Promise<string[]> {
  try {
    sweepTemporaryFiles(directory)
    const entries = await readdir(directory, { withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.') && !isTemporaryFile(entry.name))
      .map((entry) => entry.name)
      .sort()
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT' || errnoOf(cause) === 'ENOTDIR') return []
    throw errors.ERR_CNI_CACHE({ problem: "can't list the cache", path: directory }, cause)
  }
}
