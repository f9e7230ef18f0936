import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packedPackages } from './packed-packages.ts'

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
 * Unpacks podwire, and all that is published besides, into a node_modules; no registry is asked.
 * @param config what is written as podwire.config.json
 */
export function packedProject(config: object): PackedProject {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-packed-project-'))
  for (const { manifest, tarball } of packedPackages()) {
    const into = join(dir, 'node_modules', manifest.name)
    mkdirSync(into, { recursive: true })
    spawnSync('tar', ['-xzf', tarball, '-C', into, '--strip-components=1'])
  }
  for (const name of dependencies) {
    const from = ['packages/cli', 'plugins/cni'].map((one) => join(root, one, 'node_modules', name))
    const found = from.find((path) => existsSync(path))
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
