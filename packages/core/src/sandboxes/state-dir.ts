import { accessSync, constants, existsSync, realpathSync, type Stats, statfsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { errnoOf, once } from '@podwire/api'
import { isExposed, isRoots, readFileIfThere, upwards, writeFileWhole } from '@podwire/api/files'
import * as z from 'zod/mini'
import { errors } from '../errors.ts'
import { OWN_NETNS } from './netns.ts'
import type { SandboxStore } from './store.ts'

/**
 * Checks that nobody but this user, or root, can put files into a state directory, or another directory in its place:
 * what lies there decides what a host deletes. One that isn't there yet is made later, for its owner alone.
 * @throws PodwireError `STATE_UNSAFE`, `STATE_UNUSABLE`
 */
export function assertStateDirSafe(stateDir: string): void {
  const own = process.geteuid?.() ?? 0
  const real = nearestReal(resolve(stateDir))
  const isThere = existsSync(stateDir)
  for (const { at, found, isAbove } of lookUpwards(real)) {
    const problem = problemOf(found, isAbove || !isThere, own)
    if (problem) throw errors.STATE_UNSAFE({ path: stateDir, problem: `${at} ${problem}` })
  }
}

function problemOf(found: Stats, isAbove: boolean, own: number): string | undefined {
  if (!found.isDirectory()) return 'is not a directory'
  if (found.uid !== own && !(isAbove && isRoots(found))) return `belongs to user ${found.uid}`
  return isExposed(found, isAbove) ? 'may be written to by others' : undefined
}

function lookUpwards(path: string) {
  try {
    return [...upwards(path)]
  } catch (cause) {
    throw errors.STATE_UNUSABLE({ path }, cause)
  }
}

/** The real path of the directory, or of the nearest one above that is there. */
function nearestReal(path: string): string {
  try {
    return realpathSync(path)
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw errors.STATE_UNUSABLE({ path }, cause)
    return nearestReal(dirname(path))
  }
}

/** Why no record can be written at this moment; undefined when one can. Looks, and writes nothing. */
export function stateDirProblem(stateDir: string): string | undefined {
  const dir = nearestReal(resolve(stateDir))
  try {
    accessSync(dir, constants.W_OK)
    const { bavail, bsize, files, ffree } = statfsSync(dir)
    if (bavail * bsize < recordBytes || (files > 0 && ffree === 0)) throw new Error('no space is left')
    return undefined
  } catch (cause) {
    return errors.STATE_UNUSABLE({ path: stateDir }, cause).message
  }
}

/** What a large record takes. */
const recordBytes = 16 * 1024

const hostFile = once(() =>
  z.object({
    version: z.literal(1),
    netns: z.object({ dev: z.number(), ino: z.number() }),
  }),
)

/**
 * Checks that the pods of a state directory are this network namespace's: a host elsewhere would take their links for
 * gone. Returns what says so of a directory that nobody has claimed, or somebody without pods.
 * @throws PodwireError `STATE_ELSEWHERE`
 */
export function assertStateDirHere(stateDir: string, store: SandboxStore): { claim(): void } {
  const file = join(stateDir, 'host.json')
  const { dev, ino } = statSync(OWN_NETNS)
  const known = parseHostFile(readFileIfThere(file))
  if (known?.netns.dev === dev && known.netns.ino === ino) return { claim() {} }
  const pods = known ? store.list().records.length : 0
  if (pods > 0) throw errors.STATE_ELSEWHERE({ path: stateDir, pods })
  return {
    claim() {
      try {
        writeFileWhole(file, JSON.stringify({ version: 1, netns: { dev, ino } }))
      } catch (cause) {
        throw errors.STATE_UNUSABLE({ path: file }, cause)
      }
    },
  }
}

function parseHostFile(text: string | undefined): z.infer<ReturnType<typeof hostFile>> | undefined {
  try {
    return text === undefined ? undefined : hostFile().parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
