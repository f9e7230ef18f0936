import { renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { ignoring } from '@podwire/api'
import { namesIn, readFileIfThere, sweepTemporaryFiles, writeFileWhole } from '@podwire/api/files'
import { errors } from '../errors.ts'
import { parseSandboxRecord, type SandboxRecord } from './record.ts'
import { defaultSandboxId, isSandboxId } from './sandbox-id.ts'

/** A file that should hold a record and doesn't. */
export interface UnreadableRecord {
  readonly file: string
  /** Undefined where the file isn't called as any sandbox may be. */
  readonly sandboxId: string | undefined
  readonly reason: string
}

/**
 * The records of a state directory: one file for each sandbox, replaced whole. A record is a kilobyte in memory (/run),
 * so the calls are synchronous.
 */
export interface SandboxStore {
  /** Undefined also for a record that can't be read; `list` tells of those. */
  get(sandboxId: string): SandboxRecord | undefined
  /** The record of a pod whatever its sandbox is called; the last one where it has two. */
  find(pod: { readonly namespace: string; readonly name: string }): SandboxRecord | undefined
  list(): { records: SandboxRecord[]; unreadable: UnreadableRecord[] }
  /** Replaces the record; a reader sees the old one or the new one. */
  write(record: SandboxRecord): void
  remove(record: SandboxRecord): void
  /** Moves a file that can't be read out of the way; returns where to. */
  setAside(file: string): string
  /** Removes what processes that were killed while writing left. */
  sweep(): void
}

const suffix = '.json'

/** @param stateDir made at the first write, for its owner only */
export function createSandboxStore(stateDir: string): SandboxStore {
  const dir = join(stateDir, 'sandboxes')
  // Where a sandbox isn't called as its pod says, a file called so holds its id.
  const namesDir = join(stateDir, 'pods')
  const fileOf = (sandboxId: string) => join(dir, `${sandboxId}${suffix}`)

  const read = (file: string): SandboxRecord | UnreadableRecord | undefined => {
    const called = basename(file, suffix)
    const sandboxId = isSandboxId(called) ? called : undefined
    const unreadable = (reason: string) => ({ file, sandboxId, reason })
    if (sandboxId === undefined) return unreadable('its name is not the id of a sandbox')
    try {
      const text = readFileIfThere(file)
      if (text === undefined) return undefined
      const parsed = parseSandboxRecord(text, sandboxId)
      return typeof parsed === 'string' ? unreadable(parsed) : parsed
    } catch (error) {
      return unreadable(`it can't be read: ${(error as Error).message}`) // node:fs throws nothing else
    }
  }
  const get = (sandboxId: string) => {
    const found = isSandboxId(sandboxId) ? read(fileOf(sandboxId)) : undefined
    return found && 'pod' in found ? found : undefined
  }
  const otherNameOf = ({ pod }: SandboxRecord) => {
    const usual = defaultSandboxId(pod)
    return usual === pod.sandboxId ? undefined : join(namesDir, usual)
  }

  return {
    get,
    find: (pod) => {
      const usual = defaultSandboxId(pod)
      const direct = get(usual)
      if (direct) return direct
      const other = readFileIfThere(join(namesDir, usual))
      const found = other === undefined ? undefined : get(other)
      return found?.pod.namespace === pod.namespace && found.pod.name === pod.name ? found : undefined
    },
    list: () => {
      const entries = guarded(dir, () => namesIn(dir))
        .filter((name) => name.endsWith(suffix))
        .map((name) => read(join(dir, name)))
      return {
        records: entries.filter((entry) => entry !== undefined && 'pod' in entry),
        unreadable: entries.filter((entry) => entry !== undefined && 'file' in entry),
      }
    },
    write: (record) => {
      const other = otherNameOf(record)
      const file = fileOf(record.pod.sandboxId)
      guarded(file, () => {
        if (other) writeFileWhole(other, record.pod.sandboxId)
        writeFileWhole(file, JSON.stringify(record))
      })
    },
    remove: (record) => {
      const other = otherNameOf(record)
      const file = fileOf(record.pod.sandboxId)
      guarded(file, () => {
        rmSync(file, { force: true })
        if (other && readFileIfThere(other) === record.pod.sandboxId) rmSync(other, { force: true })
      })
    },
    sweep: () => guarded(stateDir, () => [dir, namesDir].forEach(sweepTemporaryFiles)),
    setAside: (file) => {
      const target = `${file}.unreadable`
      guarded(file, () => {
        try {
          renameSync(file, target)
        } catch (error) {
          ignoring('ENOENT')(error)
        }
      })
      return target
    },
  }
}

function guarded<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    throw errors.STATE_UNUSABLE({ path }, cause)
  }
}
