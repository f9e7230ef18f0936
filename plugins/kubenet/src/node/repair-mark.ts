import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '@podwire/api'
import { removeIfThere, writeFileWhole } from '@podwire/api/files'

/**
 * Tells the next process that what pods share was being put back, when this one is killed meanwhile: what it had put back
 * by then is no longer missing, and what pods had of it still is, their routes above all.
 */
export interface RepairMark {
  /** Whether a process before this one was killed at it, and none has done it since. */
  readonly wasCutShort: boolean
  set(): void
  clear(): void
}

export function openRepairMark(stateDir: string): RepairMark {
  const file = join(stateDir, 'repairing')
  let wasCutShort = existsSync(file)
  return {
    get wasCutShort() {
      return wasCutShort
    },
    set: () => unlessNoRoom(() => writeFileWhole(file, '')),
    clear() {
      unlessNoRoom(() => removeIfThere(file))
      wasCutShort = false
    },
  }
}

/** A disk that takes nothing keeps no pod from being put right. */
function unlessNoRoom(act: () => void) {
  try {
    act()
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT', 'EROFS'].includes(errnoOf(error) ?? '')) throw error
  }
}
