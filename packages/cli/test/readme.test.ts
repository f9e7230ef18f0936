import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { bin, built, project } from './podwire.ts'

const root = new URL('../../..', import.meta.url).pathname
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, code = '']) => code)

const commands = blocks('sh').flatMap((block) => block.split('\n').filter((line) => line !== ''))
/** What is shown with its output: `$ command`, and what it printed. */
const sessions = blocks('console').flatMap((block) =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const [command = '', ...output] = text.trimEnd().split('\n')
      return { command, output }
    }),
)
const [configuration = ''] = blocks('json')
const [program = ''] = blocks('js')
const [plugin = ''] = blocks('ts')

/** A project beside the README: what it says to write is in it, and packages are found as if they were installed. */
function readmeProject(files: Record<string, unknown> = {}) {
  const { dir } = project({ 'server.js': '', ...files })
  const run = (args: string[]) => spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8' })
  return { dir, run }
}

/** The arguments of Node for a command of the README. @param podwire the command line to take */
function nodeArguments(command: string, podwire = bin): string[] {
  const [file, ...args] = command.split(' ')
  if (file === 'npx') return [podwire, ...args.slice(1)]
  return args.map((arg) => (arg.startsWith('./.dev/') ? join(root, arg) : arg))
}

/** Output with what differs from machine to machine left out: numbers, addresses, and the width of columns. */
const shape = (output: string) =>
  output
    .trimEnd()
    .replace(/[0-9a-f]*(?:[.:]+[0-9a-f]+)+|\d+/g, 'N')
    .replace(/ +$/gm, '')
    .replace(/ +/g, ' ')

describe.skipIf(!isIsolated())('the README', () => {
  test('sets the checkout up before it uses anything of it, and shows what is printed then', () => {
    expect(sessions[0]?.command).toBe('npm run setup')
    const shown = sessions.slice(1)
    expect(shown.map(({ command }) => command.split(' ')[0])).toEqual(['npx', 'node'])
    const { dir, run } = readmeProject({
      'podwire.config.json': { networkPlugin: 'kubenet', podCIDR: '10.88.0.0/16' },
      'sandbox.mjs': program,
    })
    mkdirSync(join(dir, 'node_modules'))
    symlinkSync(join(root, 'node_modules/podwire'), join(dir, 'node_modules/podwire'))
    symlinkSync(join(root, 'packages/cli/node_modules/@podwire'), join(dir, 'node_modules/@podwire'))
    const inCheckout = join(root, 'packages/cli/bin/podwire.js')
    for (const { command, output } of shown) {
      const { status, stdout, stderr } = run(nodeArguments(command, inCheckout))
      expect([command, status, stderr]).toEqual([command, 0, ''])
      expect(shape(stdout)).toBe(shape(output.join('\n')))
    }
  }, 60_000)

  test('its commands succeed, in their order', () => {
    expect(commands.length).toBeGreaterThan(5)
    const { run } = readmeProject({ 'podwire.config.json': configuration })
    for (const command of commands) {
      const { status, stderr } = run(nodeArguments(command))
      expect(`${command}: ${status} ${status === 0 ? '' : stderr}`).toBe(`${command}: 0 `)
    }
  }, 120_000)

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
    symlinkSync(join(built, 'packages/api'), join(dir, 'node_modules/@podwire/api'))
    expect(run([bin, 'up', 'default/web']).stdout).toContain('192.0.2.7')
    expect(run([bin, 'down', 'default/web']).status).toBe(0)
  }, 60_000)
})

test('every command is in the table of the command line, and none that is not one', () => {
  const table = readFileSync(join(root, 'packages/cli/README.md'), 'utf8')
  const help = spawnSync(process.execPath, [bin, '--help'], { encoding: 'utf8' }).stdout
  const real = [...help.matchAll(/^ {2}([a-z]+)(?: |$)/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== 'help')
  const listed = [...table.matchAll(/^\| `podwire ([a-z]+)/gm)].map(([, name]) => name)
  expect([...new Set(listed)].sort()).toEqual(real.sort())
})
