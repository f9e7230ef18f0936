import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { stateUnusable } from '../errors.ts'
import { defaultSandboxId } from '../sandboxes/sandbox-id.ts'
import { parseSandboxRecord, type SandboxRecord } from './sandbox-record.ts'

/** A file that should hold a record and doesn't. */
interface UnreadableRecord {
  readonly file: string
  readonly sandboxId: string
  readonly reason: string
}

/**
 * The records of a state directory: one file for each sandbox, replaced whole. A record is a kilobyte in memory (/run),
 * so the calls are synchronous: each takes 20 µs, where the way to a thread and back takes three times as long.
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
    const text = readIfThere(file)
    if (text === undefined) return undefined
    const parsed = parseSandboxRecord(text)
    return typeof parsed === 'string' ? { file, sandboxId: basename(file, suffix), reason: parsed } : parsed
  }
  const get = (sandboxId: string) => {
    const found = read(fileOf(sandboxId))
    return found && 'pod' in found ? found : undefined
  }
  const nameOf = ({ pod }: SandboxRecord) => {
    const usual = defaultSandboxId(pod)
    return usual === pod.sandboxId ? undefined : join(namesDir, usual)
  }

  return {
    get,
    find: (pod) => {
      const usual = defaultSandboxId(pod)
      const direct = get(usual)
      if (direct) return direct
      const sandboxId = readIfThere(join(namesDir, usual))
      return sandboxId === undefined ? undefined : get(sandboxId)
    },
    list: () => {
      const records: SandboxRecord[] = []
      const unreadable: UnreadableRecord[] = []
      for (const name of namesIn(dir)) {
        const entry = name.endsWith(suffix) ? read(join(dir, name)) : undefined
        if (entry && 'pod' in entry) records.push(entry)
        else if (entry) unreadable.push(entry)
      }
      return { records, unreadable }
    },
    write: (record) => {
      const name = nameOf(record)
      if (name) replace(name, record.pod.sandboxId)
      replace(fileOf(record.pod.sandboxId), JSON.stringify(record))
    },
    remove: (record) => {
      const name = nameOf(record)
      const file = fileOf(record.pod.sandboxId)
      try {
        rmSync(file, { force: true })
        if (name && readIfThere(name) === record.pod.sandboxId) rmSync(name, { force: true })
      } catch (cause) {
        throw stateUnusable({ path: file, cause })
      }
    },
    sweep: () => {
      for (const place of [dir, namesDir]) {
        for (const name of namesIn(place)) {
          const [, pid] = temporaryName.exec(name) ?? []
          if (pid && !isRunning(Number(pid))) rmSync(join(place, name), { force: true })
        }
      }
    },
    setAside: (file) => {
      const target = `${file}.unreadable`
      try {
        renameSync(file, target)
      } catch (cause) {
        if (codeOf(cause) !== 'ENOENT') throw stateUnusable({ path: file, cause })
      }
      return target
    },
  }
}

const temporaryName = /\.(\d+)\.tmp$/

/** Writes beside the file and renames. No two writes of a process overlap, so that its number makes the name its own. */
function replace(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.tmp`
  try {
    try {
      writeFileSync(temporary, text, { mode: 0o600 })
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 })
      writeFileSync(temporary, text, { mode: 0o600 })
    }
    renameSync(temporary, file)
  } catch (cause) {
    if (existsSync(temporary)) rmSync(temporary)
    throw stateUnusable({ path: file, cause })
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENAMETOOLONG') return undefined
    throw stateUnusable({ path: file, cause })
  }
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir).sort()
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return []
    throw stateUnusable({ path: dir, cause })
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
