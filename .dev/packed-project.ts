import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = new URL('..', import.meta.url).pathname
// Of others, and so not packed here.
const dependencies = ['koffi', 'tsx', 'yaml', 'zod']

/** A directory with packages in its node_modules as users have them. */
export interface PackedProject {
  readonly dir: string
  /** Runs the command line that is installed there. */
  podwire(...args: string[]): { status: number | null; stdout: string; stderr: string }
  remove(): void
}

/**
 * Builds and packs podwire and these packages of the workspace with all that they depend on, and unpacks the tarballs; no
 * registry is asked.
 * @param packages names of packages
 * @param config what is written as podwire.config.json
 */
export function packedProject(packages: readonly string[], config: object): PackedProject {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-packed-project-'))
  const tarballs = join(dir, 'tarballs')
  packTarballs(['podwire', ...packages], tarballs)
  for (const name of readdirSync(tarballs)) unpack(join(tarballs, name), join(dir, 'node_modules'))
  for (const name of dependencies) {
    const from = ['packages/cli', 'plugins/cni'].map((one) => join(root, one, 'node_modules', name))
    const found = from.find((path) => readdirSync(join(path, '..')).includes(name))
    if (found) symlinkSync(found, join(dir, 'node_modules', name))
  }
  writeFileSync(join(dir, 'podwire.config.json'), JSON.stringify(config))
  return {
    dir,
    podwire: (...args) => {
      const bin = join(dir, 'node_modules/podwire/bin/podwire.js')
      const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
        cwd: dir,
        encoding: 'utf8',
      })
      return { status, stdout, stderr }
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}

/** Builds and packs these packages of the workspace with all that they depend on, as a release does. */
export function packTarballs(packages: readonly string[], into: string): void {
  run('turbo', [
    'run',
    'build',
    '--output-logs=errors-only',
    ...packages.map((name) => `--filter=${name}...`),
  ])
  const filters = packages.flatMap((name) => ['--filter-prod', `${name}...`])
  run('pnpm', ['--silent', ...filters, 'pack', '--pack-destination', into])
}

function unpack(tarball: string, nodeModules: string): void {
  const into = mkdtempSync(join(nodeModules, '..', 'unpacked-'))
  run('tar', ['-xzf', tarball, '-C', into, '--strip-components=1'])
  // It was packed just now, and has a name.
  const { name } = JSON.parse(readFileSync(join(into, 'package.json'), 'utf8')) as { name: string }
  mkdirSync(join(nodeModules, name, '..'), { recursive: true })
  run('mv', [into, join(nodeModules, name)])
}

function run(command: string, args: readonly string[]): void {
  const env = { ...process.env, PATH: `${root}node_modules/.bin:${process.env['PATH']}` }
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`)
}
