import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canReachRegistries, publishAll, type Registry, root, run, startRegistry } from './registry.ts'

// From an idea to a plugin in a host, each step by what a person types, with nothing but the registry between the two.

const minutes = 60_000
const packageName = 'podwire-plugin-acme.io__mysdn'
const pluginName = 'acme.io/mysdn'

describe.skipIf(!canReachRegistries)('an author and an operator', () => {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-round-trip-'))
  const made = join(dir, 'author', packageName)
  const author = join(dir, 'author')
  let registry: Registry

  beforeAll(async () => {
    mkdirSync(author)
    mkdirSync(join(dir, 'registry'))
    registry = await startRegistry(join(dir, 'registry'))
    await publishAll(registry, dir)
  }, 15 * minutes)
  afterAll(() => {
    registry?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const edit = (file: string, change: (json: Record<string, unknown>) => void) => {
    const json = JSON.parse(readFileSync(file, 'utf8'))
    change(json)
    writeFileSync(file, JSON.stringify(json, null, 2))
  }

  test(
    'the author makes a package, tests it and publishes it',
    async () => {
      const start = performance.now()
      await registry.npm(
        author,
        'npm',
        'create',
        '--yes',
        'podwire-plugin',
        '--',
        '--name',
        pluginName,
        '--yes',
      )
      const created = performance.now()
      await registry.npm(made, 'npm', 'install', '--ignore-scripts')
      const installed = performance.now()
      const tested = await run(made, ['npm', 'test'])
      expect(tested, tested.stdout + tested.stderr).toMatchObject({ status: 0 })
      const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(1)
      console.log(
        `create ${seconds(start, created)} s, install ${seconds(created, installed)} s, test ${seconds(installed, performance.now())} s`,
      )
      await registry.npm(made, 'npm', 'run', 'check')
      await registry.npm(made, 'npm', 'publish')
      await registry.npm(made, join(root, 'node_modules/.bin/attw'), '--pack', '.', '--profile', 'esm-only')
    },
    10 * minutes,
  )

  const managers = {
    npm: { name: 'npm', install: ['npm', 'install', '--ignore-scripts'] },
    'strict pnpm': {
      name: 'pnpm',
      install: ['pnpm', 'add', '--ignore-scripts', '--config.node-linker=isolated'],
    },
  }

  /** An operator's project with podwire, and the plugin by its name. */
  async function operator(manager: keyof typeof managers): Promise<string> {
    const { name, install } = managers[manager]
    const cwd = join(dir, name)
    mkdirSync(cwd)
    writeFileSync(join(cwd, 'package.json'), '{"private": true}')
    await registry.npm(cwd, ...install, 'podwire')
    const podwire = join(cwd, 'node_modules/.bin/podwire')
    await registry.npm(cwd, podwire, 'init')
    const info = await registry.npm(cwd, podwire, 'plugin', 'info', pluginName, '--json')
    expect(JSON.parse(info)).toMatchObject({
      name: packageName,
      version: '0.1.0',
      usable: true,
      plugins: [pluginName],
    })
    const found = await registry.npm(cwd, podwire, 'plugin', 'search', 'mysdn', '--json')
    expect(JSON.parse(found)).toContainEqual(expect.objectContaining({ name: packageName }))
    const added = await registry.npm(cwd, podwire, 'plugin', 'add', pluginName, '--use')
    expect(added).toContain(`Installed ${packageName}@0.1.0`)
    return cwd
  }

  /** A pod comes up, sends a packet to this node and gets one back, and goes. */
  async function tryPod(cwd: string): Promise<void> {
    const podwire = join(cwd, 'node_modules/.bin/podwire')
    const up = await run(cwd, [podwire, 'up', 'default/web'])
    expect(up).toMatchObject({ status: 0, stdout: expect.stringContaining('10.88.0.1') })
    const server = createServer((socket) => socket.end(`hello ${socket.remoteAddress}`)).listen(0)
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const client = `require('net').connect(${port}, '169.254.1.1').pipe(process.stdout)`
    const reached = await run(cwd, [podwire, 'exec', 'default/web', '--', process.execPath, '-e', client])
    server.close()
    expect(reached).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^hello (?:::ffff:)?10\.88\.0\.1$/),
    })
    expect(await run(cwd, [podwire, 'down', 'default/web'])).toMatchObject({ status: 0 })
    expect(readdirSync('/run/netns')).toEqual([])
  }

  test.each(['npm', 'strict pnpm'] as const)(
    'by %s, an operator installs it, and a pod gets its network',
    async (manager) => {
      const cwd = await operator(manager)
      await tryPod(cwd)
      const lock = manager === 'npm' ? 'package-lock.json' : 'pnpm-lock.yaml'
      expect(readdirSync(cwd)).toContain(lock)
    },
    10 * minutes,
  )

  test(
    'a copy of the contract of its own in the plugin makes no difference',
    async () => {
      const cwd = join(dir, 'npm')
      const own = join(cwd, 'node_modules', packageName, 'node_modules/@podwire/api')
      cpSync(join(cwd, 'node_modules/@podwire/api'), own, { recursive: true })
      await tryPod(cwd)
    },
    2 * minutes,
  )

  test(
    'a version for a newer contract is refused before it is installed, with what to do',
    async () => {
      edit(join(made, 'package.json'), (json) => {
        json['version'] = '0.2.0'
        json['podwire'] = { apiVersion: 2, plugins: [pluginName], surprise: true }
      })
      await registry.npm(made, 'npm', 'publish', '--ignore-scripts')
      const cwd = join(dir, 'npm')
      const podwire = join(cwd, 'node_modules/.bin/podwire')
      const { status, stderr } = await registry.tryNpm(cwd, podwire, 'plugin', 'add', pluginName)
      expect(status).toBe(1)
      expect(stderr).toBe(
        `podwire: ${packageName}@0.2.0 can't be used: it is made for version 2 of the plugin API, and this podwire knows version 1. Nothing was installed. Update podwire, or install the newest version for this one: podwire plugin add ${packageName}@0.1.0\n`,
      )
      const outdated = await registry.npm(cwd, podwire, 'plugins', '--outdated', '--json')
      expect(JSON.parse(outdated)).toContainEqual(
        expect.objectContaining({
          name: pluginName,
          version: '0.1.0',
          newest: '0.1.0',
          newestForOthers: '0.2.0',
        }),
      )
      // Put in place by force, a host tells the same.
      await registry.npm(cwd, 'npm', 'install', '--ignore-scripts', `${packageName}@0.2.0`)
      const forced = await run(cwd, [podwire, 'up', 'default/web'])
      expect(forced.status).not.toBe(0)
      expect(forced.stderr).toMatch(/its "podwire" key|its apiVersion is 2, and this host knows 1/)
    },
    5 * minutes,
  )

  test(
    'it is removed once it is no longer the one in use',
    async () => {
      const cwd = join(dir, 'pnpm')
      const podwire = join(cwd, 'node_modules/.bin/podwire')
      const refused = await registry.tryNpm(cwd, podwire, 'plugin', 'remove', pluginName)
      expect(refused).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('is the network plugin of'),
      })
      edit(join(cwd, 'podwire.config.json'), (json) => {
        json['networkPlugin'] = 'kubenet'
      })
      await registry.npm(cwd, podwire, 'plugin', 'remove', pluginName)
      const config = JSON.parse(readFileSync(join(cwd, 'podwire.config.json'), 'utf8'))
      expect(Object.keys(config.plugins)).toEqual(['kubenet'])
      expect(readdirSync(join(cwd, 'node_modules'))).not.toContain(packageName)
    },
    5 * minutes,
  )

  test(
    'a newer create-podwire-plugin brings what it made earlier up to date',
    async () => {
      const copy = join(dir, 'create-0.2.0')
      const packed = readdirSync(join(dir, 'tarballs')).find((name) =>
        name.startsWith('create-podwire-plugin-'),
      )
      mkdirSync(copy)
      await registry.npm(copy, 'tar', '-xzf', join(dir, 'tarballs', packed ?? ''), '--strip-components=1')
      edit(join(copy, 'package.json'), (json) => {
        json['version'] = '0.2.0'
      })
      const options = join(copy, 'template/native/typescript/src/options.ts')
      writeFileSync(options, readFileSync(options, 'utf8').replace('in bytes; 0:', 'in bytes, 0 being'))
      await registry.npm(copy, 'npm', 'publish', '--ignore-scripts')
      const own = join(made, 'src/plugin.ts')
      writeFileSync(own, `${readFileSync(own, 'utf8')}// mine\n`)
      // The manifest that the test above wrote is the author's change: it stays.
      const updated = await registry.npm(
        made,
        'npm',
        'create',
        '--yes',
        'podwire-plugin@0.2.0',
        '--',
        '--update',
        '--force',
      )
      expect(updated).toMatch(/merged {2}src\/options\.ts/)
      expect(readFileSync(join(made, 'src/options.ts'), 'utf8')).toContain('in bytes, 0 being')
      expect(readFileSync(own, 'utf8')).toMatch(/\/\/ mine\n$/)
      expect(JSON.parse(readFileSync(join(made, 'package.json'), 'utf8'))).toMatchObject({
        version: '0.2.0',
        podwire: { apiVersion: 2 },
        'create-podwire-plugin': { version: '0.2.0', packageName },
      })
    },
    5 * minutes,
  )
})
