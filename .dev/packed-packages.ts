import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = new URL('..', import.meta.url).pathname

/** A package.json. */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly [key: string]: unknown
}

/** A package as a release packs it. */
export interface PackedPackage {
  readonly manifest: Manifest
  /** The `.tgz`. */
  readonly tarball: string
}

/**
 * All that is published, and the plugins among the examples, built and packed: once for all tests of a run, by whoever comes
 * first.
 * @param dir where the tarballs are, or come. Default: made, and removed, with a run of the tests: see vitest.config.ts
 */
export function packedPackages(dir = process.env['PODWIRE_TEST_PACKED'] ?? ''): PackedPackage[] {
  mkdirSync(dir, { recursive: true })
  const filters = publishedDirectories().map((path) => `--filter=./${path}`)
  const script = `set -e
    cd '${root}'
    if [ -e '${dir}/done' ]; then exit; fi
    turbo run build --output-logs=errors-only ${filters.join(' ')}
    pnpm --silent ${filters.join(' ')} pack --pack-destination '${dir}'
    touch '${dir}/done'`
  const env = {
    ...process.env,
    PATH: `${root}node_modules/.bin:${process.env['PATH']}`,
    TURBO_TELEMETRY_DISABLED: '1',
  }
  // Two that build at once would read what the other one is writing.
  const { status, stdout, stderr } = spawnSync('flock', [dir, 'sh', '-c', script], { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`the packages could not be built: ${stdout}${stderr}`)
  return readdirSync(dir)
    .filter((name) => name.endsWith('.tgz'))
    .map((name) => join(dir, name))
    .map((tarball) => ({ manifest: manifestIn(tarball), tarball }))
}

/** The directories of all these, from the top of the workspace. */
export function publishedDirectories(): string[] {
  return ['packages', 'plugins', 'examples']
    .flatMap((parent) => readdirSync(join(root, parent)).map((name) => `${parent}/${name}`))
    .filter((path) => {
      const file = join(root, path, 'package.json')
      if (path.startsWith('examples/')) return path.startsWith('examples/plugin-')
      return existsSync(file) && !JSON.parse(readFileSync(file, 'utf8')).private
    })
}

function manifestIn(tarball: string): Manifest {
  const { stdout } = spawnSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' })
  // pnpm has written it.
  return JSON.parse(stdout) as Manifest
}
