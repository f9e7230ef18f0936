import { lstatSync, readFileSync, realpathSync, type Stats } from 'node:fs'
import { dirname, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errors } from '../errors.ts'

// A process that is root runs what its configuration and its plugins say. Whoever could have written those files would
// be root too, so they must belong to root, or to somebody who is as good as root already: the user whose `sudo` this is,
// and the owner of the code that runs now. The same holds for each directory above, since who may rename there may put
// another file in the place. A directory like /tmp is no danger to what lies in it: there, only owners rename.

const S_IWOTH = 0o002
const S_IWGRP = 0o020
const S_ISVTX = 0o1000

/**
 * Checks that nobody but root could have written a file or directory whose code or settings are to be used as root.
 * Does nothing in a process that isn't root, or is root in a user namespace alone.
 * @param what for the error: `this configuration`
 * @param trusted directories whose contents are trusted all the same: `--trust`
 * @throws PodwireError `UNTRUSTED`; node:fs's errors
 */
export function assertTrusted(path: string, what: string, trusted: readonly string[] = []): void {
  if (!isRealRoot()) return
  const real = realpathSync(path)
  if (trusted.some((dir) => isInside(real, realpathOr(dir)))) return
  for (const at of [real, ...parents(real)]) {
    const found = lstatSync(at)
    if (isSafe(found, at === real)) continue
    const mode = (found.mode & 0o7777).toString(8).padStart(4, '0')
    throw errors.UNTRUSTED({ path, at, uid: found.uid, mode, what })
  }
}

function isSafe(found: Stats, isItself: boolean): boolean {
  if (!owners().has(found.uid)) return false
  const othersMayWrite = (found.mode & (S_IWOTH | (found.gid === 0 ? 0 : S_IWGRP))) !== 0
  const isSticky = found.isDirectory() && (found.mode & S_ISVTX) !== 0
  return !othersMayWrite || (isSticky && !isItself)
}

let known: ReadonlySet<number> | undefined

/** Who is as good as root for this process. */
function owners(): ReadonlySet<number> {
  const sudo = Number(process.env['SUDO_UID'])
  known ??= new Set([
    0,
    ...(Number.isInteger(sudo) && sudo > 0 ? [sudo] : []),
    lstatSync(fileURLToPath(import.meta.url)).uid,
  ])
  return known
}

// Root of a user namespace has no more rights over the machine than the user who made it.
function isRealRoot(): boolean {
  if (process.geteuid?.() !== 0) return false
  try {
    return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'))
  } catch {
    return true
  }
}

function parents(path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [] : [parent, ...parents(parent)]
}

function isInside(path: string, dir: string): boolean {
  return path === dir || path.startsWith(dir.endsWith(sep) ? dir : dir + sep)
}

function realpathOr(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}
