import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { exports as resolveExports } from 'resolve.exports'
import type { PackageEntry } from './manifest.ts'

// Sources or builds: as this package itself runs.
const conditions = ['module-sync', ...(import.meta.url.endsWith('.ts') ? ['podwire-source'] : [])]

/**
 * The URL to import for the package in `dir`, by the rules of Node: importing by name would find whatever the importer
 * sees under that name. Throws when its package.json leads nowhere.
 */
export function packageEntry(dir: string, { name, exports }: PackageEntry): string {
  // A main may leave out its ending, or name a directory.
  if (exports === undefined) return pathToFileURL(createRequire(join(dir, 'package.json')).resolve(dir)).href
  // What exports holds is checked by the resolver itself, which throws for what leads nowhere.
  const [target] = resolveExports({ name, exports } as never, '.', { conditions }) ?? []
  if (target === undefined) throw new Error('its "exports" offer nothing to import')
  return new URL(target, pathToFileURL(join(dir, '/'))).href
}
