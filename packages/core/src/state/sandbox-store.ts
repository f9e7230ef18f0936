import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { stateUnusable } from '../errors.ts'
import { parseSandboxRecord, type SandboxRecord } from './sandbox-record.ts'

/** A file that should hold a record and doesn't. */
export interface UnreadableRecord {
  readonly file: string
  readonly reason: string
}

/** The records of a state directory: one file for each sandbox, replaced whole. */
export interface SandboxStore {
  get(sandboxId: string): Promise<SandboxRecord | undefined>
  list(): Promise<{ records: SandboxRecord[]; unreadable: UnreadableRecord[] }>
  /** Replaces the record; a reader sees the old one or the new one. */
  write(record: SandboxRecord): Promise<void>
  remove(sandboxId: string): Promise<void>
  /** Moves a file that can't be read out of the way; returns where to. */
  setAside(file: string): Promise<string>
}

const suffix = '.json'

/** @param stateDir made at the first write, for its owner only */
export function createSandboxStore(stateDir: string): SandboxStore {
  const dir = join(stateDir, 'sandboxes')
  const fileOf = (sandboxId: string) => join(dir, `${sandboxId}${suffix}`)
  let written = 0

  const read = async (file: string): Promise<SandboxRecord | UnreadableRecord | undefined> => {
    try {
      const parsed = parseSandboxRecord(await readFile(file, 'utf8'))
      return typeof parsed === 'string' ? { file, reason: parsed } : parsed
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENAMETOOLONG') return undefined
      throw stateUnusable({ path: file, cause })
    }
  }

  return {
    get: async (sandboxId) => {
      const found = await read(fileOf(sandboxId))
      return found && 'pod' in found ? found : undefined
    },
    list: async () => {
      const names = await readdir(dir).catch((cause: unknown) => {
        if (codeOf(cause) === 'ENOENT') return []
        throw stateUnusable({ path: dir, cause })
      })
      const files = names.filter((name) => name.endsWith(suffix)).sort()
      const found = await Promise.all(files.map((name) => read(join(dir, name))))
      const records: SandboxRecord[] = []
      const unreadable: UnreadableRecord[] = []
      for (const entry of found) {
        if (entry && 'pod' in entry) records.push(entry)
        else if (entry) unreadable.push(entry)
      }
      return { records, unreadable }
    },
    write: async (record) => {
      const file = fileOf(record.pod.sandboxId)
      const temporary = `${file}.${process.pid}.${written++}.tmp`
      try {
        await writeWhole(temporary, JSON.stringify(record), dir)
        await rename(temporary, file)
      } catch (cause) {
        await rm(temporary, { force: true }).catch(() => {})
        throw stateUnusable({ path: file, cause })
      }
    },
    remove: (sandboxId) =>
      rm(fileOf(sandboxId), { force: true }).catch((cause: unknown) => {
        throw stateUnusable({ path: fileOf(sandboxId), cause })
      }),
    setAside: async (file) => {
      const target = `${file}.unreadable`
      await rename(file, target).catch((cause: unknown) => {
        if (codeOf(cause) !== 'ENOENT') throw stateUnusable({ path: file, cause })
      })
      return target
    },
  }
}

async function writeWhole(file: string, text: string, dir: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600).catch(async (error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
    await mkdir(dir, { recursive: true, mode: 0o700 })
    return open(file, 'wx', 0o600)
  })
  try {
    await handle.writeFile(text)
  } finally {
    await handle.close()
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
