import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Kind, kinds, type Language, languages } from '../src/answers.ts'
import { writeFiles } from '../src/create.ts'
import { pluginNames } from '../src/plugin-names.ts'
import { instantiate } from '../src/template.ts'

export const root = new URL('../../..', import.meta.url).pathname

/** Every kind in every language. */
export const templates = Object.keys(kinds).flatMap((kind) =>
  // Both are keys of their tables.
  Object.keys(languages).map((language) => [kind as Kind, language as Language] as const),
)

/** A package made of a template, with its dependencies as npm would install them. */
export interface TemplateProject {
  readonly dir: string
  /** Runs a command in it; the workspace's packages run from their sources. */
  run(command: string, ...args: string[]): { status: number | null; output: string }
  remove(): void
}

export async function templateProject(kind: Kind, language: Language): Promise<TemplateProject> {
  const dir = mkdtempSync(join(tmpdir(), `podwire-template-${kind}-`))
  const answers = { ...pluginNames('acme.io/mysdn'), description: 'A plugin of a test.', kind, language }
  await writeFiles(dir, instantiate(answers, '0.1.0'), new AbortController().signal)
  const link = (name: string, from: string) => {
    mkdirSync(join(dir, 'node_modules', name, '..'), { recursive: true })
    symlinkSync(join(root, from), join(dir, 'node_modules', name))
  }
  for (const name of ['api', 'netlink', 'testing']) link(`@podwire/${name}`, `packages/${name}`)
  for (const name of ['cni', 'exec']) link(`@podwire/plugin-${name}`, `plugins/${name}`)
  link('zod', 'plugins/cni/node_modules/zod')
  link('tsx', 'node_modules/tsx')
  link('@types/node', 'node_modules/@types/node')
  const env = { ...process.env, NODE_OPTIONS: `--import=${join(root, '.dev/run-source.mjs')}` }
  return {
    dir,
    run(command, ...args) {
      const { status, stdout, stderr } = spawnSync(command, args, { cwd: dir, env, encoding: 'utf8' })
      return { status, output: stdout + stderr }
    },
    remove: () => rmSync(dir, { recursive: true }),
  }
}
