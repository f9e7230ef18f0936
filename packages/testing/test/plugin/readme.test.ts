import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isIsolated } from '../../src/netns.ts'

const root = new URL('../../../..', import.meta.url).pathname
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const section = readme.slice(readme.indexOf('## A plugin put to the test'))
const blocks = [...section.matchAll(/```(?:json|js)\n([\s\S]*?)```/g)].map(([, code = '']) => code)
const [packageJson = '', plugin = '', forVitest = '', forNode = ''] = blocks

const vitestConfig = `export default {
  resolve: { conditions: ['podwire-source'] },
  ssr: { resolve: { conditions: ['podwire-source'], externalConditions: ['podwire-source'] } },
}`

describe.runIf(isIsolated())('the sample of the README', { timeout: 300_000 }, () => {
  let dir: string
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'podwire-sample-'))
    const files = { 'package.json': packageJson, 'index.js': plugin, 'vitest.config.js': vitestConfig }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text)
    writeFileSync(join(dir, 'conformance.test.js'), forVitest)
    writeFileSync(join(dir, 'node.js'), forNode)
    mkdirSync(join(dir, 'node_modules/@podwire'), { recursive: true })
    for (const name of ['api', 'testing'])
      symlinkSync(join(root, 'packages', name), join(dir, 'node_modules/@podwire', name))
    symlinkSync(join(root, 'node_modules/vitest'), join(dir, 'node_modules/vitest'))
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  const env = { ...process.env, NO_COLOR: '1', VITEST: undefined }
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: dir, env, encoding: 'utf8' })
    return { status, output: stdout + stderr }
  }

  test('passes in vitest', () => {
    const { status, output } = run('--conditions=podwire-source', 'node_modules/vitest/vitest.mjs', 'run')
    expect(status, output).toBe(0)
    expect(output).toMatch(/Tests +\d{2} passed \| \d+ skipped/)
  })

  test('passes in node:test', () => {
    const { status, output } = run('--import', join(root, '.dev/run-source.mjs'), 'node.js')
    expect(status, output).toBe(0)
    expect(output).toMatch(/ok \d+ - tear-down: /)
  })
})
