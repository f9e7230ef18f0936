import { lstatSync, realpathSync } from 'node:fs'
import { resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hasMachineUsers, isExposed, upwards } from '@podwire/api/files'
import { errors } from '../errors.ts'

// A process that is root runs what its configuration and its plugins say. Whoever could have written those files would
// be root too, so they must belong to root, or to somebody who is as good as root already: the user whose `sudo` this is,
// and the owner of the code that runs now. The same holds for each directory above, since who may rename there may put
// another file in the place. A directory like /tmp is no danger to what lies in it: there, only owners rename.

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
  for (const { at, found, isAbove } of upwards(real)) {
    if (owners().has(found.uid) && !isExposed(found, isAbove)) continue
    const mode = (found.mode & 0o7777).toString(8).padStart(4, '0')
    throw errors.UNTRUSTED({ path, at, uid: found.uid, mode, what })
  }
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

function isRealRoot(): boolean {
  return process.geteuid?.() === 0 && hasMachineUsers()
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
