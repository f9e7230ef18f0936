import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll } from 'vitest'
import { project as sourceProject } from '../../../cli/test/podwire.ts'
import { bundleCommand, type CommandBundle } from '../../src/machine/bundle.ts'

let bundle: CommandBundle | undefined

beforeAll(async () => {
  bundle = await bundleCommand()
})
afterAll(() => bundle?.remove())

/** The command line as it is when it is installed: its executable file, and the directory of the exec plugin. */
export function installed(): CommandBundle {
  if (!bundle) throw new Error('the command line is bundled before the first test')
  return bundle
}

/** A directory of a test's own with these files in it, and the command line run there. */
export function project(files: Record<string, unknown> = {}) {
  const { dir } = sourceProject(files)
  const env = { ...process.env, PODWIRE_CONFIG: '', NO_COLOR: '1' }
  return {
    dir,
    podwire(...args: string[]) {
      const options = { cwd: dir, env, encoding: 'utf8' } as const
      const { status, stdout, stderr } = spawnSync(process.execPath, [installed().bin, ...args], options)
      return { status, stdout, stderr }
    },
  }
}
