import { existsSync, readFileSync } from 'node:fs'
import { removeIfThere } from '@podwire/api/files'
import { readShim, type Shim, shimPath, shimSettingsPath } from '@podwire/shim'

/** An executable that runtimes call, as it stands there. */
export interface InstalledShim {
  /** `ours`: put there by this command, in whichever version. */
  readonly owner: 'ours' | 'other'
  /** Whether it is the one that comes with this podwire. */
  readonly isCurrent: boolean
}

/** The executable for this machine, and its content. */
export async function ownShim(): Promise<{ readonly shim: Shim; readonly content: Buffer }> {
  const shim = shimPath()
  return { shim, content: await readShim(shim) }
}

/** What stands at the path of an executable; undefined where there is nothing. */
export function installedShim(path: string, own: Buffer): InstalledShim | undefined {
  if (!existsSync(path)) return undefined
  const isCurrent = readFileSync(path).equals(own)
  // Its settings are written before it, and go after it.
  return { owner: isCurrent || isOurs(path) ? 'ours' : 'other', isCurrent }
}

const isOurs = (path: string): boolean => socketOfShim(path) !== undefined

/** The socket that an installed executable passes calls to; undefined where nothing says so. */
export function socketOfShim(path: string): string | undefined {
  const settings = shimSettingsPath(path)
  return existsSync(settings) ? /^socket (\/.+)$/m.exec(readFileSync(settings, 'utf8'))?.[1] : undefined
}

export function removeShim(path: string): void {
  removeIfThere(path)
  removeIfThere(shimSettingsPath(path))
}
