import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * The URL to import for the package in `dir`. Importing by name would find whatever the importer sees under that name,
 * so the package refers to itself, by the rules that Node applies to its `exports`.
 */
export async function packageEntry(dir: string): Promise<string> {
  const json: unknown = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8'))
  const exported = isObject(json) ? json['exports'] : undefined
  // A main may leave out its ending, or name a directory.
  if (exported === undefined) return pathToFileURL(createRequire(join(dir, 'package.json')).resolve(dir)).href
  return new URL(entryOf(exported) ?? 'index.js', pathToFileURL(join(dir, '/'))).href
}

// The flags of the process decide whether sources or builds run, as they do for its own imports.
const conditions = new Set([
  ...(import.meta.url.endsWith('.ts') ? ['podwire-source'] : []),
  'node',
  'import',
  'module-sync',
  'default',
])

function entryOf(exported: unknown): string | undefined {
  if (typeof exported === 'string') return exported
  if (Array.isArray(exported)) return exported.map(entryOf).find((target) => target !== undefined)
  if (!isObject(exported)) return undefined
  if ('.' in exported) return entryOf(exported['.'])
  for (const [condition, target] of Object.entries(exported)) {
    const found = conditions.has(condition) ? entryOf(target) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
