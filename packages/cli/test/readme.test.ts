import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { bin, project } from './podwire.ts'

const root = new URL('../../..', import.meta.url).pathname
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, code = '']) => code)

const commands = blocks('sh').flatMap((block) =>
  block.split('\n').filter((line) => line.startsWith('npx podwire ')),
)
const [configuration = ''] = blocks('json')
const [library = '', plugin = ''] = blocks('ts')

/** A project beside the README: what it says to write is in it, and packages are found as if they were installed. */
function readmeProject(files: Record<string, unknown> = {}) {
  const { dir } = project({ 'server.js': '', ...files })
  const run = (args: string[]) => spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8' })
  return { dir, run }
}

describe.skipIf(!isIsolated())('the README', () => {
  test('its commands succeed, in their order', () => {
    expect(commands.length).toBeGreaterThan(6)
    const { run } = readmeProject({ 'podwire.config.json': configuration })
    for (const command of commands) {
      const args = command.replace('npx podwire ', '').split(' ')
      const { status, stderr } = run([bin, ...args])
      expect(`${command}: ${status} ${status === 0 ? '' : stderr}`).toBe(`${command}: 0 `)
    }
  }, 60_000)

  test('its program runs', () => {
    const { dir, run } = readmeProject({ 'podwire.config.json': configuration, 'program.mts': library })
    mkdirSync(join(dir, 'node_modules/podwire'), { recursive: true })
    writeFileSync(
      join(dir, 'node_modules/podwire/package.json'),
      JSON.stringify({ name: 'podwire', type: 'module', exports: './index.ts' }),
    )
    writeFileSync(
      join(dir, 'node_modules/podwire/index.ts'),
      `export * from '${root}packages/cli/src/index.ts'\n`,
    )
    mkdirSync(join(dir, 'node_modules/@podwire'))
    spawnSync('ln', ['-s', `${root}plugins/kubenet`, join(dir, 'node_modules/@podwire/plugin-kubenet')])
    const { status, stdout, stderr } = run(['--import', `${root}.dev/run-source.mjs`, 'program.mts'])
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^\/run\/netns\/default-job-1-\w+ 10\.88\.\d+\.\d+\n$/)
  }, 30_000)

  test('its plugin is found, checked and called', () => {
    const manifest = {
      name: 'podwire-plugin-mysdn',
      version: '1.0.0',
      type: 'module',
      exports: './index.ts',
      podwire: { apiVersion: 1 },
    }
    const { dir, run } = readmeProject({
      'podwire.config.json': { networkPlugin: 'mysdn' },
      'node_modules/podwire-plugin-mysdn/package.json': manifest,
      'node_modules/podwire-plugin-mysdn/index.ts': plugin,
    })
    mkdirSync(join(dir, 'node_modules/@podwire'))
    spawnSync('ln', ['-s', `${root}packages/api`, join(dir, 'node_modules/@podwire/api')])
    expect(run([bin, 'up', 'default/web']).stdout).toContain('192.0.2.7')
    expect(run([bin, 'down', 'default/web']).status).toBe(0)
  }, 30_000)
})

test('every command in the table is one, and every one is in the table', () => {
  const help = spawnSync(process.execPath, [bin, '--help'], { encoding: 'utf8' }).stdout
  const real = [...help.matchAll(/^ {2}([a-z]+)(?: |$)/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== 'help')
  const listed = [...readme.matchAll(/^\| `podwire ([a-z]+)/gm)].map(([, name]) => name)
  expect([...new Set(listed)].sort()).toEqual(real.sort())
})
