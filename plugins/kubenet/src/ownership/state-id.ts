import { randomBytes } from 'node:crypto'
import { linkSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '@podwire/api'
import { readFileIfThere, removeIfThere, temporaryName, writeFileWhole } from '@podwire/api/files'

/** Its name in a state directory. */
export const STATE_ID_FILE = 'id'

/** Tells one state directory from all others, on whichever machine: what its host made carries it. */
export interface StateId {
  /** The directory's, or the one that it is going to have. */
  get(): string
  /** Writes it down, unless another process was faster. */
  keep(): void
}

export function openStateId(stateDir: string): StateId {
  const file = join(stateDir, STATE_ID_FILE)
  let candidate: string | undefined
  let kept: string | undefined

  function get(): string {
    kept ??= readStateId(file)
    // Made when it is asked for: whoever only looks needs none.
    candidate ??= kept ?? randomBytes(16).toString('hex')
    return kept ?? candidate
  }

  return {
    get,
    keep() {
      if (readStateId(file) !== undefined) return void get()
      // Made in one step together with its text, and not over another's.
      const temporary = join(stateDir, temporaryName())
      writeFileWhole(temporary, get())
      try {
        linkSync(temporary, file)
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error
        if (readStateId(file) === undefined) writeFileWhole(file, get())
      } finally {
        removeIfThere(temporary)
      }
      kept = readStateId(file)
    },
  }
}

/** Undefined where there is none, or none that was written whole. */
export function readStateId(file: string): string | undefined {
  const text = readFileIfThere(file, 64)?.trim()
  return text !== undefined && /^[0-9a-f]{32}$/.test(text) ? text : undefined
}
