import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { built } from './podwire.ts'

// The command line and the library as users have them: packed, and installed from the tarballs.

const root = new URL('../../..', import.meta.url).pathname
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const [, program = ''] = /```js\n([\s\S]*?createNetworkHost[\s\S]*?)```/.exec(readme) ?? []

// Tests run in a network of their own, and registries are outside of it.
const outside = ['nsenter', `--net=/proc/${process.ppid}/ns/net`]
const canInstall = isIsolated() && spawnSync(outside[0] ?? '', [...outside.slice(1), 'true']).status === 0

describe.skipIf(!canInstall)('installed from tarballs', () => {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-installed-'))
  const tarballs = join(dir, 'tarballs')
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  const install = (cwd: string, ...command: string[]) => {
    const [file = '', ...args] = [...outside, ...command]
    const { status, stdout, stderr } = spawnSync(file, args, { cwd, encoding: 'utf8' })
    if (status !== 0) throw new Error(`${command.join(' ')}: ${stdout}${stderr}`)
  }
  // From a registry npm takes none for other processors; a file it would refuse.
  const isForOthers = (name: string) => name.includes('-linux-') && !name.includes(`-linux-${process.arch}-`)
  const packed = () =>
    readdirSync(tarballs)
      .filter((name) => !isForOthers(name))
      .map((name) => join(tarballs, name))
  const made = (name: string, packageJson: object) => {
    const cwd = join(dir, name)
    mkdirSync(cwd)
    writeFileSync(
      join(cwd, 'package.json'),
      JSON.stringify({ private: true, type: 'module', ...packageJson }),
    )
    writeFileSync(join(cwd, 'program.js'), program)
    return cwd
  }
  const run = (cwd: string, file: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(file, args, { cwd, encoding: 'utf8' })
    return { status, stdout, stderr }
  }

  beforeAll(() => {
    const pack = ['--filter-prod', 'podwire...', 'pack', '--pack-destination', tarballs]
    install(built, 'node_modules/.bin/pnpm', '--silent', ...pack)
  }, 600_000)

  const npmInstall = ['npm', 'install', '--prefer-offline', '--no-audit', '--no-fund']
  const layouts: Record<string, () => string> = {
    npm: () => {
      const cwd = made('npm', {})
      install(cwd, ...npmInstall, ...packed())
      return cwd
    },
    'strict pnpm': () => {
      // podwire-core-1.2.3.tgz is @podwire/core, podwire-1.2.3.tgz podwire.
      const named = packed().map((path) => {
        const [, own] = /^podwire-(?:(.+)-)?\d/.exec(basename(path)) ?? []
        return [own ? `@podwire/${own}` : 'podwire', `file:${path}`] as const
      })
      const { podwire, ...overrides } = Object.fromEntries(named)
      const cwd = made('pnpm', { dependencies: { podwire }, pnpm: { overrides } })
      const settings = ['--prefer-offline', '--ignore-scripts', '--config.node-linker=isolated']
      install(cwd, join(root, 'node_modules/.bin/pnpm'), 'install', ...settings)
      return cwd
    },
  }

  test.each(Object.keys(layouts))(
    'by %s, the program of the README and the command line give addresses',
    (layout) => {
      const cwd = layouts[layout]?.() ?? ''
      const ran = run(cwd, process.execPath, 'program.js')
      expect(ran).toMatchObject({ status: 0, stderr: '' })
      expect(ran.stdout).toMatch(/^job-1 has 10\.88\.\d+\.\d+\ndefault via /)
      const podwire = join(cwd, 'node_modules/.bin/podwire')
      expect(run(cwd, podwire, 'run', '--', 'ip', '-br', 'address', 'show', 'eth0').stdout).toContain(
        '10.88.',
      )
      expect(run(cwd, podwire, 'status', '--json')).toMatchObject({ status: 0, stderr: '' })
      expect(run(cwd, podwire, 'run', '--', 'no-such-command').status).toBe(127)
      const odd = ['run', '--json', '--', 'sh', '-c', 'kill -9 $$']
      expect(JSON.parse(run(cwd, podwire, ...odd).stdout)).toMatchObject({ exitCode: 137 })
      expect(readdirSync('/run/netns')).toEqual([])
    },
    600_000,
  )

  test('globally, a plugin that is installed beside it is found from anywhere', () => {
    const prefix = join(dir, 'global')
    mkdirSync(prefix)
    install(dir, ...npmInstall, '--global', '--prefix', prefix, ...packed())
    const plugin = join(prefix, 'lib/node_modules/podwire-plugin-odd')
    mkdirSync(plugin)
    const manifest = { name: 'podwire-plugin-odd', version: '1.0.0', podwire: { apiVersion: 1 } }
    writeFileSync(join(plugin, 'package.json'), JSON.stringify(manifest))
    const elsewhere = made('elsewhere', {})
    const { stdout } = run(elsewhere, join(prefix, 'bin/podwire'), 'plugins', '--json')
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ name: 'odd', state: 'available' }))
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ name: 'kubenet', state: 'active' }))
  }, 600_000)
})
