import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Manifest, publishedDirectories } from '../packed-packages.ts'

const root = new URL('../..', import.meta.url).pathname

/** A package of somebody else, packed as it lies in this workspace. */
export interface InstalledPackage {
  readonly manifest: Manifest
  readonly tarball: Buffer
}

// What a package made by create-podwire-plugin is developed with.
const tools = ['@biomejs/biome', '@types/node', 'publint', 'tsx', 'typescript']

/** Packs what is needed of others, with all that each depends on. */
export function* packInstalled(): Generator<InstalledPackage> {
  const seen = new Set<string>()
  const queue = [
    ...tools.map((name) => realpathSync(join(root, 'node_modules', name))),
    ...publishedDirectories().flatMap((path) => {
      const { dependencies = {} } = readManifest(join(root, path))
      const others = Object.keys(dependencies).filter((name) => !dependencies[name]?.startsWith('workspace:'))
      return others.map((name) => realpathSync(join(root, path, 'node_modules', name)))
    }),
  ]
  for (let dir = queue.shift(); dir !== undefined; dir = queue.shift()) {
    if (seen.has(dir)) continue
    seen.add(dir)
    const manifest = readManifest(dir)
    queue.push(...dependencyDirs(dir, Object.keys(manifest.dependencies ?? {})))
    const optional = Object.entries(manifest.optionalDependencies ?? {})
    // Those for other machines aren't here.
    const here = optional.filter(([name]) => dependencyDirs(dir, [name]).length > 0)
    queue.push(
      ...dependencyDirs(
        dir,
        here.map(([name]) => name),
      ),
    )
    const published = { ...manifest, optionalDependencies: Object.fromEntries(here) }
    yield { manifest: published, tarball: packDirectory(dir) }
  }
}

interface InstalledManifest extends Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

function readManifest(dir: string): InstalledManifest {
  // A package manager has read it before.
  return JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as InstalledManifest
}

/** pnpm lays the dependencies of a package beside it. */
function dependencyDirs(dir: string, names: readonly string[]): string[] {
  const parent = dir.replace(/\/node_modules\/(?:@[^/]+\/)?[^/]+$/, '/node_modules')
  return names.flatMap((name) => {
    const path = join(parent, name)
    return existsSync(path) ? [realpathSync(path)] : []
  })
}

function packDirectory(dir: string): Buffer {
  // pnpm keeps files that are the same once.
  const args = [
    '-c',
    '--hard-dereference',
    '--exclude=./node_modules',
    '--transform=s,^\\.,package,',
    '-C',
    dir,
    '.',
  ]
  const { stdout, stderr, status } = spawnSync('tar', args, { maxBuffer: 2 ** 29 })
  if (status !== 0) throw new Error(`tar of ${dir}: ${stderr}`)
  // Whoever unpacks it wants gzip, and nobody a smaller one.
  return gzipSync(stdout, { level: 0 })
}
