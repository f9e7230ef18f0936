import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest'
import { packedPackages } from '../../../.dev/packed-packages.ts'
import { type Ended, type Registry, run, startRegistry } from '../../../.dev/registry/registry.ts'
import { markedBlocks } from '../../docs/src/code-blocks.ts'

// From an idea to a plugin in a host, each step by what a person types, with nothing but the registry between the two. What the
// guide for plugin authors says is followed word by word.

const root = new URL('../../..', import.meta.url).pathname
const guide = markedBlocks(readFileSync(join(root, 'packages/docs/pages/plugin-authors.md'), 'utf8'))
const packageName = 'podwire-plugin-acme.io__wire'
const pluginName = 'acme.io/wire'
// What is built without a compiler has none.
const nativeShim = spawnSync('gcc', ['--version']).status === 0 ? 'native' : 'node'

// Each goes on where the one before has stopped.
describe.runIf(isIsolated())('an author and an operator', { timeout: 300_000, retry: 0 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-round-trip-'))
  const made = join(dir, 'author', packageName)
  let registry: Registry

  beforeAll(async () => {
    registry = await startRegistry(join(dir, 'registry'))
  }, 1_200_000)
  afterAll(() => {
    registry?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  beforeEach(() => {
    onTestFailed(() => console.log(registry.log()))
  })

  const tryCommand = (cwd: string, command: string): Promise<Ended> =>
    run(cwd, ['sh', '-c', command], registry.env)
  const command = async (cwd: string, line: string): Promise<string> => {
    const { status, stdout, stderr } = await tryCommand(cwd, line)
    expect(`${line}: ${status}${status === 0 ? '' : `\n${stdout}${stderr}`}`).toBe(`${line}: 0`)
    return stdout
  }

  /** Does in an empty directory what the guide says to one of the two. Returns what each command printed and took. */
  async function follow(who: 'author' | 'operator', name: string) {
    let cwd = join(dir, name)
    mkdirSync(cwd)
    const done = new Map<string, { stdout: string; seconds: number }>()
    for (const { command: line } of guide.flatMap((block) => (block.kind === who ? block.commands : []))) {
      const start = performance.now()
      if (line.startsWith('cd ')) cwd = join(cwd, line.slice(3))
      else done.set(line, { stdout: await command(cwd, line), seconds: (performance.now() - start) / 1000 })
    }
    return done
  }

  const edit = (file: string, change: (json: Record<string, unknown>) => void) => {
    const json = JSON.parse(readFileSync(file, 'utf8'))
    change(json)
    writeFileSync(file, JSON.stringify(json, null, 2))
  }

  /** A pod comes up, sends a packet to this node and gets one back, and goes. */
  async function tryPod(cwd: string): Promise<void> {
    expect(await command(cwd, 'npx podwire up default/web')).toContain('10.88.0.1')
    const server = createServer((socket) => socket.end(`hello ${socket.remoteAddress}`)).listen(0)
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const client = `require('net').connect(${port}, '169.254.1.1').pipe(process.stdout)`
    const reached = await command(cwd, `npx podwire exec default/web -- '${process.execPath}' -e "${client}"`)
    server.close()
    expect(reached).toMatch(/^hello (?:::ffff:)?10\.88\.0\.1$/)
    await command(cwd, 'npx podwire down default/web')
    expect(readdirSync('/run/netns')).toEqual([])
  }

  test('the author makes a package, tests it and publishes it, as the guide says', async () => {
    const done = await follow('author', 'author')
    expect(done.get('npm test')?.stdout).toMatch(/^# fail 0$/m)
    console.log([...done].map(([line, { seconds }]) => `${seconds.toFixed(1)} s  ${line}`).join('\n'))
    await command(made, `'${join(root, 'node_modules/.bin/attw')}' --pack . --profile esm-only`)
  })

  test('an operator installs it as the guide says, and a pod gets its network', async () => {
    const done = await follow('operator', 'npm')
    expect(done.get(`npx podwire plugin add ${pluginName} --use`)?.stdout).toContain(
      `Installed ${packageName}@0.1.0`,
    )
    expect(done.get('npx podwire exec default/web -- ip -brief address')?.stdout).toContain('10.88.0.1')
    await tryPod(join(dir, 'npm'))
    const found = await command(join(dir, 'npm'), 'npx podwire plugin search wire --json')
    expect(JSON.parse(found)).toContainEqual(expect.objectContaining({ name: packageName }))
  })

  test('by a strict pnpm it is the same', async () => {
    const cwd = join(dir, 'pnpm')
    mkdirSync(cwd)
    writeFileSync(join(cwd, 'package.json'), '{"private": true}')
    await command(cwd, 'pnpm add --ignore-scripts --config.node-linker=isolated podwire')
    await command(cwd, 'npx podwire init')
    await command(cwd, `npx podwire plugin add ${pluginName} --use`)
    await tryPod(cwd)
    expect(readdirSync(cwd)).toContain('pnpm-lock.yaml')
    expect(readdirSync(cwd)).not.toContain('package-lock.json')
  })

  test.each([
    ['npm install', ['shim', `shim-linux-${process.arch}`], nativeShim],
    ['npm install --omit=optional', ['shim'], 'node'],
  ])('the CNI shim comes for this machine alone, by %s', async (install, packages, kind) => {
    const cwd = join(dir, `shim-${packages.length}`)
    mkdirSync(cwd)
    writeFileSync(join(cwd, 'package.json'), '{"private": true}')
    await command(cwd, `${install} --ignore-scripts @podwire/shim`)
    expect(readdirSync(join(cwd, 'node_modules/@podwire'))).toEqual(packages)
    const find = "import('@podwire/shim').then(({ shimPath }) => console.log(JSON.stringify(shimPath())))"
    const found = JSON.parse(await command(cwd, `'${process.execPath}' -e "${find}"`))
    expect(found).toEqual({ path: expect.stringContaining(`${cwd}/node_modules/@podwire/shim`), kind })
    expect(existsSync(found.path)).toBe(true)
  })

  test('a copy of the contract of its own in the plugin makes no difference', async () => {
    const installed = join(dir, 'npm/node_modules')
    const own = join(installed, packageName, 'node_modules/@podwire/api')
    cpSync(join(installed, '@podwire/api'), own, { recursive: true })
    await tryPod(join(dir, 'npm'))
  })

  test('a version for a newer contract is refused before it is installed, with what to do', async () => {
    edit(join(made, 'package.json'), (json) => {
      json['version'] = '0.2.0'
      json['podwire'] = { apiVersion: 2, plugins: [pluginName], surprise: true }
    })
    await command(made, 'npm publish --ignore-scripts')
    const cwd = join(dir, 'npm')
    expect(await tryCommand(cwd, `npx podwire plugin add ${pluginName}`)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(
        `podwire: ${packageName}@0.2.0 can't be used: it is made for version 2 of the plugin API, and this podwire knows version 1. Nothing was installed. Update podwire, or install the newest version for this one: podwire plugin add ${packageName}@0.1.0\n`,
      ),
    })
    const outdated = await command(cwd, 'npx podwire plugins --outdated --json')
    expect(JSON.parse(outdated)).toContainEqual(
      expect.objectContaining({
        name: pluginName,
        version: '0.1.0',
        newest: '0.1.0',
        newestForOthers: '0.2.0',
      }),
    )
    // Put in place by force, a host tells the same.
    await command(cwd, `npm install --ignore-scripts ${packageName}@0.2.0`)
    const forced = await tryCommand(cwd, 'npx podwire up default/web')
    expect(forced.status).not.toBe(0)
    expect(forced.stderr).toMatch(/its "podwire" key|its apiVersion is 2, and this host knows 1/)
  })

  test('it is removed once it is no longer the one in use', async () => {
    const cwd = join(dir, 'pnpm')
    const remove = `npx podwire plugin remove ${pluginName}`
    expect(await tryCommand(cwd, remove)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('is the network plugin of'),
    })
    edit(join(cwd, 'podwire.config.json'), (json) => {
      json['networkPlugin'] = 'kubenet'
    })
    await command(cwd, remove)
    const config = JSON.parse(readFileSync(join(cwd, 'podwire.config.json'), 'utf8'))
    expect(Object.keys(config.plugins)).toEqual(['kubenet'])
    expect(readdirSync(join(cwd, 'node_modules'))).not.toContain(packageName)
  })

  test('a newer create-podwire-plugin brings what it made earlier up to date', async () => {
    const copy = join(dir, 'create-0.2.0')
    mkdirSync(copy)
    const packed = packedPackages().find(({ manifest }) => manifest.name === 'create-podwire-plugin')
    await command(copy, `tar -xzf '${packed?.tarball}' --strip-components=1`)
    edit(join(copy, 'package.json'), (json) => {
      json['version'] = '0.2.0'
    })
    const options = join(copy, 'template/native/typescript/src/options.ts')
    writeFileSync(options, readFileSync(options, 'utf8').replace('in bytes; 0:', 'in bytes, 0 being'))
    await command(copy, 'npm publish --ignore-scripts')
    const own = join(made, 'src/plugin.ts')
    appendFileSync(own, '// mine\n')
    // The manifest that the test above wrote is the author's change: it stays.
    const updated = await command(made, 'npm create podwire-plugin@0.2.0 -- --update --force')
    expect(updated).toMatch(/merged {2}src\/options\.ts/)
    expect(readFileSync(join(made, 'src/options.ts'), 'utf8')).toContain('in bytes, 0 being')
    expect(readFileSync(own, 'utf8')).toMatch(/\/\/ mine\n$/)
    expect(JSON.parse(readFileSync(join(made, 'package.json'), 'utf8'))).toMatchObject({
      version: '0.2.0',
      podwire: { apiVersion: 2 },
      'create-podwire-plugin': { version: '0.2.0', packageName },
    })
  })
})
