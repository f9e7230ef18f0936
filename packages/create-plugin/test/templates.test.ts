import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type Kind, kinds, type Language, languages } from '../src/answers.ts'
import { writeFiles } from '../src/create.ts'
import { toolVersions } from '../src/package-json.ts'
import { pluginNames } from '../src/plugin-names.ts'
import { instantiate } from '../src/template.ts'

const root = new URL('../../..', import.meta.url).pathname
const bin = (name: string) => join(root, 'node_modules/.bin', name)
const made = Object.keys(kinds).flatMap((kind) =>
  // Both are keys of their tables.
  Object.keys(languages).map((language) => [kind as Kind, language as Language] as const),
)

describe.each(made)('the template %s in %s', (kind, language) => {
  const dir = mkdtempSync(join(tmpdir(), `podwire-template-${kind}-`))
  beforeAll(async () => {
    const names = pluginNames('acme.io/mysdn')
    const answers = { ...names, description: 'A plugin of a test.', kind, language }
    await writeFiles(dir, instantiate(answers, '0.1.0'), new AbortController().signal)
    linkDependencies(dir)
  })
  afterAll(() => rmSync(dir, { recursive: true }))

  const run = (command: string, ...args: string[]) => {
    // The workspace's packages run from their sources.
    const env = { ...process.env, NODE_OPTIONS: `--import=${join(root, '.dev/run-source.mjs')}` }
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: dir, env, encoding: 'utf8' })
    return { status, output: stdout + stderr }
  }

  test('is formatted, and nothing in it is to be found fault with', () => {
    const checked = run(bin('biome'), 'check', '--error-on-warnings')
    expect(checked, checked.output).toMatchObject({ status: 0 })
  })

  test('has its types right', () => {
    const flags = ['--customConditions', 'podwire-source', '--allowImportingTsExtensions']
    const { output } = run(bin('tsc'), '-p', '.', ...flags)
    // The sources of the workspace are checked by its own rules.
    expect(output.split('\n').filter((line) => /^(?:src|test)\//.test(line))).toEqual([])
  })

  test.runIf(isIsolated())(
    'keeps every rule of the contract',
    () => {
      const tested = run('npm', 'test')
      expect(tested, tested.output).toMatchObject({ status: 0 })
      expect(tested.output).toMatch(/^# pass [1-9]\d+$/m)
    },
    300_000,
  )
})

/** As npm would install them. */
function linkDependencies(dir: string): void {
  const link = (name: string, from: string) => {
    mkdirSync(join(dir, 'node_modules', name, '..'), { recursive: true })
    symlinkSync(join(root, from), join(dir, 'node_modules', name))
  }
  for (const name of ['api', 'netlink', 'testing']) link(`@podwire/${name}`, `packages/${name}`)
  for (const name of ['cni', 'exec']) link(`@podwire/plugin-${name}`, `plugins/${name}`)
  link('zod', 'plugins/cni/node_modules/zod')
  link('tsx', 'node_modules/tsx')
  link('@types/node', 'node_modules/@types/node')
}

test('what a package made here is developed with is what Podwire itself is', () => {
  const { catalog } = parse(readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8'))
  expect(catalog).toMatchObject(toolVersions)
})
