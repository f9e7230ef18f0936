import { existsSync } from 'node:fs'
import { readdir, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** A directory that may hold a plugin package, and how it was found. */
export interface Candidate {
  readonly path: string
  /** Two candidates with one real directory are one; undefined where a link leads nowhere. */
  readonly dir: string | undefined
  /** It was named in the configuration, so that its own name doesn't matter. */
  readonly named: boolean
}

/** What comes with the program that runs the host. */
export interface Installation {
  /** Package directories that come along: what lies near can't take their place. */
  readonly included: readonly string[]
  /** The directory of the program: what is installed beside it counts too, after all others. */
  readonly from: string
}

/** Where to look. */
export interface DiscoveryPlaces {
  /** Its `node_modules` is searched, and that of each parent; undefined: none. */
  readonly from: string | undefined
  /** Directories laid out like a `node_modules`, or glob patterns of such. */
  readonly paths: readonly string[]
  /** Package directories, or glob patterns of such. */
  readonly packages: readonly string[]
  readonly installation?: Installation | undefined
}

/**
 * Every candidate, the first to count first: packages named in the configuration, what comes with the program,
 * `node_modules` upwards, the extra paths, what is installed beside the program.
 */
export async function findCandidates(places: DiscoveryPlaces): Promise<Candidate[]> {
  const { from, installation } = places
  const [packages, paths] = await Promise.all([expand(places.packages), expand(places.paths)])
  const near = await packagesInAll([...nodeModulesFrom(from), ...paths])
  const beside = await packagesInAll(nodeModulesFrom(installation?.from))
  const listed = [
    ...packages.map((path) => ({ path, named: true })),
    ...[...(installation?.included ?? []), ...near, ...beside].map((path) => ({ path, named: false })),
  ]
  return Promise.all(
    listed.map(async ({ path, named }) => ({
      path,
      named,
      dir: await realpath(path).catch(() => undefined),
    })),
  )
}

const isPattern = (path: string) => /[*?{}[\]!]|\(.*\)/.test(path)

/** Directories as they are named; a pattern that matches none stays as it is, to be told of. */
async function expand(paths: readonly string[]): Promise<string[]> {
  if (!paths.some(isPattern)) return [...paths]
  const { glob } = await import('fast-glob')
  const ignore = paths.filter((path) => path.startsWith('!')).map((path) => path.slice(1))
  const wanted = paths.filter((path) => !path.startsWith('!'))
  const found = await Promise.all(
    wanted.map(async (path) => {
      const matches = await glob(path, { ignore, onlyDirectories: true, absolute: true, dot: true })
      const isLeftOut = matches.length === 0 && existsSync(path)
      return matches.length > 0 || isLeftOut ? matches.sort() : [path]
    }),
  )
  return found.flat()
}

async function packagesInAll(roots: readonly string[]): Promise<string[]> {
  return (await Promise.all(roots.map(packagesIn))).flat()
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

function nodeModulesFrom(dir: string | undefined): string[] {
  if (dir === undefined) return []
  const parent = dirname(dir)
  return [join(dir, 'node_modules'), ...(parent === dir ? [] : nodeModulesFrom(parent))]
}
