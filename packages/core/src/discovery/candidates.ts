import { readdir, realpath } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** A directory that may hold a plugin package, and how it was found. */
export interface Candidate {
  readonly path: string
  /** Two candidates with one real directory are one; undefined where a link leads nowhere. */
  readonly dir: string | undefined
  /** It was named in the configuration, so that its own name doesn't matter. */
  readonly named: boolean
}

/** Where to look. */
export interface DiscoveryPlaces {
  /** Its `node_modules` is searched, and that of each parent. */
  readonly from: string
  /** Directories laid out like a `node_modules`. */
  readonly paths: readonly string[]
  /** Package directories. */
  readonly packages: readonly string[]
  /** Package directories that count after all others. */
  readonly included?: readonly string[]
}

/** Every candidate, nearest first: named packages, then `node_modules` upwards, then the extra paths, then what is included, the no-op default last. */
export async function findCandidates({
  from,
  paths,
  packages,
  included = [],
}: DiscoveryPlaces): Promise<Candidate[]> {
  const roots = [...ancestors(from).map((dir) => join(dir, 'node_modules')), ...paths]
  const found = await Promise.all(roots.map(packagesIn))
  const listed = [
    ...packages.map((path) => ({ path, named: true })),
    ...found.flat().map((path) => ({ path, named: false })),
    ...[...included, ...defaultPlugin()].map((path) => ({ path, named: false })),
  ]
  return Promise.all(
    listed.map(async ({ path, named }) => ({
      path,
      named,
      dir: await realpath(path).catch(() => undefined),
    })),
  )
}

// Two listings and a test of each name: a glob of the same three patterns took five times as long.
async function packagesIn(root: string): Promise<string[]> {
  const names = await list(root)
  const scopes = names.filter((name) => name.startsWith('@'))
  const scoped = await Promise.all(
    scopes.map(async (scope) => {
      const prefix = scope === '@podwire' ? ['podwire-plugin-', 'plugin-'] : ['podwire-plugin-']
      const inScope = await list(join(root, scope))
      return inScope
        .filter((name) => prefix.some((start) => name.startsWith(start)))
        .map((name) => join(scope, name))
    }),
  )
  const own = names.filter((name) => name.startsWith('podwire-plugin-'))
  return [...own, ...scoped.flat()].sort().map((name) => join(root, name))
}

async function list(dir: string): Promise<string[]> {
  // What isn't there, or may not be read, holds no plugin for this user.
  return readdir(dir).catch(() => [])
}

function ancestors(dir: string): string[] {
  const parent = dirname(dir)
  return parent === dir ? [dir] : [dir, ...ancestors(parent)]
}

// The core depends on the no-op plugin, so it is there even where no node_modules is near.
function defaultPlugin(): string[] {
  try {
    return [dirname(createRequire(import.meta.url).resolve('@podwire/plugin-noop/package.json'))]
  } catch {
    return []
  }
}
