import { lstatSync, readFileSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'

const S_IWOTH = 0o002
const S_IWGRP = 0o020
const S_ISVTX = 0o1000

/**
 * Whoever isn't mapped into a user namespace is shown in it as this user: root itself too, to whom most of any path
 * belongs.
 */
export const OVERFLOW_UID = 65534

/**
 * Whether this process has the machine's own users: root of another user namespace has no rights over the machine. Taken
 * for granted where /proc doesn't say.
 */
export function hasMachineUsers(): boolean {
  try {
    return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'))
  } catch {
    return true
  }
}

/** Whether root owns it, as far as can be seen from this user namespace. */
export function isRoots({ uid }: Stats): boolean {
  return uid === 0 || (uid === OVERFLOW_UID && !hasMachineUsers())
}

/**
 * Whether others than its owner may write to it: any user, or a group other than root's. In a directory above what is
 * looked at, what counts is who may rename: where it is sticky, as /tmp is, only owners do.
 */
export function isExposed({ mode, gid }: Stats, isAbove: boolean): boolean {
  const othersMayWrite = (mode & (S_IWOTH | (gid === 0 ? 0 : S_IWGRP))) !== 0
  return othersMayWrite && !(isAbove && (mode & S_ISVTX) !== 0)
}

/**
 * A real path and the directories above it, the nearest first, with what is known of each: who may write to one of them
 * decides what is found at the path. Throws node:fs's errors.
 */
export function* upwards(
  path: string,
): Generator<{ readonly at: string; readonly found: Stats; readonly isAbove: boolean }> {
  for (let at = path; ; at = dirname(at)) {
    yield { at, found: lstatSync(at), isAbove: at !== path }
    if (at === dirname(at)) return
  }
}
