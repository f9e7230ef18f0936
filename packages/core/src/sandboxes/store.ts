import { existsSync, renameSync } from 'node:fs'
import { basename, join } from 'node:path'
import { ignoring } from '@podwire/api'
import {
  namesIn,
  readFileIfThere,
  removeIfThere,
  sweepTemporaryFiles,
  writeFileWhole,
} from '@podwire/api/files'
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
  /** Replaces the record; a reader sees the old one or the new one. While it is `changing` the old one is kept beside it. */
  write(record: SandboxRecord): void
  /** Makes what a change led to the record of a pod that is ready, with the status that it had before. Works on a full disk. */
  settleChange(record: SandboxRecord): void
  /** Puts the record back that was there before the change. Works on a full disk. */
  forgetChange(record: SandboxRecord): void
  /** Makes the record's phase `tearing-down`, by another name for its file: a full disk must not keep a pod. */
  markTearingDown(record: SandboxRecord): void
  remove(record: SandboxRecord): void
  /** Moves a file that can't be read out of the way; returns where to. */
  setAside(file: string): string
  /** Removes what processes that were killed while writing left. */
  sweep(): void
}

// By phase; where there are several files of a sandbox the first of these holds. What is called `.leaving` is being torn down,
// and what is called `.json` changes no more, whatever it says of itself.
const suffixes = {
  'tearing-down': '.leaving',
  changing: '.changing',
  ready: '.json',
  'setting-up': '.json',
} as const satisfies Record<SandboxRecord['phase'], string>
type Suffix = (typeof suffixes)[keyof typeof suffixes]

const inOrder: readonly Suffix[] = [...new Set(Object.values(suffixes))]
const suffixIn = (file: string) => inOrder.find((suffix) => file.endsWith(suffix))

/** @param stateDir made at the first write, for its owner only */
export function createSandboxStore(stateDir: string): SandboxStore {
  const dir = join(stateDir, 'sandboxes')
  // Where a sandbox isn't called as its pod says, a file called so holds its id.
  const namesDir = join(stateDir, 'pods')
  const fileOf = (sandboxId: string, suffix: Suffix) => join(dir, `${sandboxId}${suffix}`)

  const read = (file: string): SandboxRecord | UnreadableRecord | undefined => {
    const suffix = suffixIn(file)
    const called = basename(file, suffix)
    const sandboxId = isSandboxId(called) ? called : undefined
    const unreadable = (reason: string) => ({ file, sandboxId, reason })
    if (sandboxId === undefined) return unreadable('its name is not the id of a sandbox')
    try {
      const text = readFileIfThere(file)
      if (text === undefined) return undefined
      const parsed = parseSandboxRecord(text, sandboxId)
      if (typeof parsed === 'string') return unreadable(parsed)
      if (suffix === suffixes['tearing-down']) return { ...parsed, phase: 'tearing-down' }
      return suffix === suffixes.ready && parsed.phase === 'changing' ? settled(parsed) : parsed
    } catch (error) {
      return unreadable(`it can't be read: ${(error as Error).message}`) // node:fs throws nothing else
    }
  }
  const get = (sandboxId: string) => {
    if (!isSandboxId(sandboxId)) return undefined
    // Asked first, as an error takes longer to make than all else here.
    const file = inOrder.map((suffix) => fileOf(sandboxId, suffix)).find((one) => existsSync(one))
    const found = file === undefined ? undefined : read(file)
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
      const names = new Set(guarded(dir, () => namesIn(dir)))
      const entries = [...names].filter((name) => isFirst(name, names)).map((name) => read(join(dir, name)))
      return {
        records: entries.filter((entry) => entry !== undefined && 'pod' in entry),
        unreadable: entries.filter((entry) => entry !== undefined && 'file' in entry),
      }
    },
    write: (record) => {
      const other = otherNameOf(record)
      const file = fileOf(record.pod.sandboxId, suffixes[record.phase])
      guarded(file, () => {
        // A further attachment doesn't take the place of the one that the pod is known by.
        const isFurther = record.pod.ifName !== undefined
        if (other && !(isFurther && existsSync(other))) writeFileWhole(other, record.pod.sandboxId)
        writeFileWhole(file, JSON.stringify(record))
        if (record.phase === 'ready') removeFile(fileOf(record.pod.sandboxId, suffixes.changing))
      })
    },
    settleChange: ({ pod: { sandboxId } }) => {
      const file = fileOf(sandboxId, suffixes.changing)
      guarded(file, () => renameSync(file, fileOf(sandboxId, suffixes.ready)))
    },
    forgetChange: ({ pod: { sandboxId } }) => {
      const file = fileOf(sandboxId, suffixes.changing)
      guarded(file, () => removeFile(file))
    },
    markTearingDown: ({ pod: { sandboxId }, phase }) => {
      if (phase === 'tearing-down') return
      const file = fileOf(sandboxId, suffixes[phase])
      // One that could never be written has nothing to say.
      if (existsSync(file)) guarded(file, () => renameSync(file, fileOf(sandboxId, suffixes['tearing-down'])))
    },
    remove: (record) => {
      const other = otherNameOf(record)
      const files = inOrder.map((suffix) => fileOf(record.pod.sandboxId, suffix))
      guarded(files[0] ?? dir, () => {
        // Backwards, so that what is left of a removal cut short is torn down.
        for (const file of files.reverse()) removeFile(file)
        if (other && readFileIfThere(other) === record.pod.sandboxId) removeIfThere(other)
      })
    },
    sweep: () => guarded(stateDir, () => [stateDir, dir, namesDir].forEach(sweepTemporaryFiles)),
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

/** What a record says of a change that is done, by the name of its file. */
function settled({ previous: _, problem: __, ...record }: SandboxRecord): SandboxRecord {
  return { ...record, phase: 'ready' }
}

/** Whether no other file of the sandbox holds before this one. */
function isFirst(name: string, names: ReadonlySet<string>): boolean {
  const suffix = suffixIn(name)
  if (suffix === undefined) return false
  const before = inOrder.slice(0, inOrder.indexOf(suffix))
  return !before.some((other) => names.has(`${basename(name, suffix)}${other}`))
}

// Removing what isn't there takes longer than asking.
function removeFile(file: string): void {
  if (existsSync(file)) removeIfThere(file)
}

function guarded<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    throw errors.STATE_UNUSABLE({ path }, cause)
  }
}
