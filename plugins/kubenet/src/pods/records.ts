import { accessSync, constants, existsSync, renameSync, statfsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import {
  namesIn,
  readFileIfThere,
  removeIfThere,
  sweepTemporaryFiles,
  writeFileWhole,
} from '@podwire/api/files'
import { errors } from '../errors.ts'
import { type PodRecord, settledBy } from '../pod-record.ts'
import { isSandboxId, parseRecord } from './parse-record.ts'
import { createRecordNames } from './record-names.ts'

/**
 * What outlives a process of each pod: a file. Several processes may share the directory. A pod's record is there before
 * anything else of the pod and goes last, so that whatever has no record is garbage.
 */
export interface Records {
  /** @throws PodwireError `RECORD_UNREADABLE` */
  read(sandboxId: string): PodRecord | undefined
  /** One that changes is written beside what was settled before: to go back to that takes no room on a disk. */
  write(record: PodRecord): void
  /** Settles the change that is under way. Another name for the file does, as a full disk must not be in the way of what is done. */
  settle(sandboxId: string): void
  /** Says that the pod's tear-down has begun. Another name for the file does, as a full disk must not keep a pod. */
  markLeaving(sandboxId: string): void
  remove(sandboxId: string): void
  /** The sandboxes that have a record. */
  ids(): string[]
  /** The pod of this name, unless it is about to go. Those of other processes are known within a moment. */
  named(namespace: string, name: string): PodRecord | undefined
  /** Every pod whose record can be read. */
  list(): PodRecord[]
  /** The same in pieces, as a thousand files read in one go would hold up everything else. */
  readAll(onUnreadable?: (error: Error) => void): Promise<PodRecord[]>
  /** Removes what a process that was killed half-way through a write has left, of records and of what else is in the directory. */
  sweep(): void
  /** Looks whether records can be written. @throws PodwireError `STATE_NOT_WRITABLE` */
  checkWritable(): void
}

// In the order in which they hold.
const suffixes = { changing: '.changing', staying: '.json', leaving: '.leaving' } as const
type Suffix = (typeof suffixes)[keyof typeof suffixes]

export function openRecords(stateDir: string): Records {
  const pods = join(stateDir, 'pods')
  const fileOf = (sandboxId: string, suffix: Suffix) => {
    if (!isSandboxId(sandboxId)) throw errors.INVALID_SANDBOX_ID({ sandboxId })
    return join(pods, `${sandboxId}${suffix}`)
  }

  function read(sandboxId: string): PodRecord | undefined {
    const record = readFile(sandboxId, suffixes.changing) ?? readStaying(sandboxId)
    if (record) return record
    const leaving = readFile(sandboxId, suffixes.leaving)
    return leaving && { ...leaving, leaving: true }
  }

  function readStaying(sandboxId: string): PodRecord | undefined {
    const record = readFile(sandboxId, suffixes.staying)
    return record && settledBy(record)
  }

  function readFile(sandboxId: string, suffix: Suffix): PodRecord | undefined {
    const file = fileOf(sandboxId, suffix)
    // Asked first, as an error takes longer to make than all else here, and of a new pod there is none.
    if (!existsSync(file)) return undefined
    try {
      const text = readFileIfThere(file)
      return text === undefined ? undefined : parseRecord(JSON.parse(text), sandboxId)
    } catch (error) {
      throw errors.RECORD_UNREADABLE({ file }, error)
    }
  }

  function readOr(sandboxId: string, onUnreadable: (error: Error) => void = () => {}): PodRecord[] {
    try {
      return [read(sandboxId)].filter((record) => record !== undefined)
    } catch (error) {
      onUnreadable(error as Error) // read throws nothing else
      return []
    }
  }

  function ids(): string[] {
    const all = namesIn(pods).flatMap((name) => {
      const suffix = Object.values(suffixes).find((one) => name.endsWith(one))
      return suffix ? [name.slice(0, -suffix.length)] : []
    })
    return [...new Set(all.filter(isSandboxId))]
  }

  function writeStaying(record: PodRecord) {
    const changing = fileOf(record.sandboxId, suffixes.changing)
    const isChanging = existsSync(changing)
    if (!isChanging || !isDeepStrictEqual(readStaying(record.sandboxId), record))
      writeFileWhole(fileOf(record.sandboxId, suffixes.staying), JSON.stringify(record))
    if (isChanging) removeIfThere(changing)
  }

  const list = () => ids().flatMap((sandboxId) => readOr(sandboxId))
  const names = createRecordNames(pods, list)

  return {
    read,
    named: (namespace, name) =>
      names
        .sandboxesOf({ namespace, name })
        .flatMap((sandboxId) => readOr(sandboxId))
        .find((record) => record.namespace === namespace && record.name === name && !record.leaving),
    write(record) {
      names.note(record)
      if (record.changing) writeFileWhole(fileOf(record.sandboxId, suffixes.changing), JSON.stringify(record))
      else writeStaying(record)
    },
    settle: (sandboxId) =>
      renameSync(fileOf(sandboxId, suffixes.changing), fileOf(sandboxId, suffixes.staying)),
    markLeaving(sandboxId) {
      const [changing, staying] = [fileOf(sandboxId, suffixes.changing), fileOf(sandboxId, suffixes.staying)]
      // What is under way is all that there may be of the pod.
      const isChanging = existsSync(changing)
      if (isChanging) removeIfThere(staying)
      renameSync(isChanging ? changing : staying, fileOf(sandboxId, suffixes.leaving))
    },
    remove(sandboxId) {
      for (const suffix of Object.values(suffixes)) removeIfThere(fileOf(sandboxId, suffix))
    },
    ids,
    list,
    async readAll(onUnreadable) {
      const found: PodRecord[] = []
      for (const [index, sandboxId] of ids().entries()) {
        if (index % 64 === 63) await setImmediate()
        found.push(...readOr(sandboxId, onUnreadable))
      }
      return found
    },
    sweep: () => [stateDir, pods].forEach(sweepTemporaryFiles),
    checkWritable() {
      try {
        const dir = nearest(pods)
        accessSync(dir, constants.W_OK | constants.X_OK)
        const { bavail, ffree, files } = statfsSync(dir)
        if (bavail === 0 || (files > 0 && ffree === 0)) throw new Error('no space is left there')
      } catch (error) {
        throw errors.STATE_NOT_WRITABLE({ stateDir }, error)
      }
    },
  }
}

/** The directory itself, or the one above in which it would be made. */
const nearest = (dir: string): string =>
  existsSync(dir) || dir === dirname(dir) ? dir : nearest(dirname(dir))
