import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { errors } from '../errors.ts'
import { describeHolder, lockHolder, type Release, tryAcquire } from './lock.ts'
import { assertStateDirSafe } from './state-dir.ts'

const fileOf = (stateDir: string) => join(stateDir, 'daemon.lock')

/**
 * Takes a state directory for a daemon, of which there is one at a time. The kernel gives it back when the process ends,
 * however it does. Hosts of other processes may work there still: each pod has a lock of its own.
 * @returns what gives it back
 * @throws PodwireError `STATE_LOCKED`, with who has it; `STATE_UNSAFE`, `STATE_UNUSABLE`
 */
export async function lockStateDir(stateDir: string): Promise<Release> {
  assertStateDirSafe(stateDir)
  const release = await tryAcquire(fileOf(stateDir))
  if (release) return release
  throw errors.STATE_LOCKED({
    path: stateDir,
    holder: holderOf(stateDir) ?? 'a process that is not visible from here',
  })
}

/** The number of the process whose daemon works on a state directory; undefined where none is, or none visible from here. */
export function stateDirHolder(stateDir: string): number | undefined {
  const file = fileOf(stateDir)
  try {
    return existsSync(file) ? lockHolder(file) : undefined
  } catch {
    // It has just ended.
    return undefined
  }
}

function holderOf(stateDir: string): string | undefined {
  try {
    return describeHolder(stateDirHolder(stateDir))
  } catch {
    return undefined
  }
}
