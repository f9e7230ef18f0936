import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { editConfig } from '../src/registry/edit-config.ts'
import { packageManagerOf } from '../src/registry/package-manager.ts'
import { parsePackageSpec } from '../src/registry/published.ts'
import { bin, ended, project } from './podwire.ts'

/** Packages by name, their versions by number; a number: the status that the registry answers with. */
const packages: Record<string, Record<string, unknown> | number> = {
  'podwire-plugin-plain': { '1.0.0': undefined },
  'podwire-plugin-future': {
    '1.9.0': { apiVersion: 1 },
    '1.10.0': { apiVersion: 1 },
    '2.0.0': { apiVersion: 2, shape: 'unknown' },
  },
  'podwire-plugin-only-future': { '2.0.0': { apiVersion: 2 } },
  'podwire-plugin-other-name': { '1.0.0': { apiVersion: 1, plugins: ['kubenet'] } },
  'podwire-plugin-down': 500,
}

const server = createServer(({ url = '' }, response) => {
  const { pathname, searchParams } = new URL(url, 'http://registry')
  const name = decodeURIComponent(pathname.slice(1))
  if (name === '-/v1/search') {
    // What was asked for, as the description of what is found.
    const found = (name: string) => ({
      package: {
        name,
        version: '1.0.0',
        description: searchParams.get('text'),
        maintainers: [],
        publisher: {},
      },
    })
    response.end(JSON.stringify({ objects: [found('podwire-plugin-found'), found('other')] }))
    return
  }
  const found = packages[name] ?? 404
  if (typeof found === 'number') {
    response.writeHead(found).end('{}')
    return
  }
  const versions = Object.fromEntries(
    Object.entries(found).map(([version, podwire]) => [
      version,
      {
        name,
        version,
        ...(podwire === undefined ? {} : { podwire }),
        dist: { tarball: 'http://127.0.0.1:1/', shasum: '' },
      },
    ]),
  )
  response.end(JSON.stringify({ name, 'dist-tags': { latest: Object.keys(versions).at(-1) }, versions }))
})

describe('podwire plugin add', () => {
  const cache = mkdtempSync(join(tmpdir(), 'podwire-npm-cache-'))
  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
  })
  afterAll(() => {
    server.close()
    rmSync(cache, { recursive: true, force: true })
  })

  async function plugin(args: string[], registry?: string) {
    const { port } = server.address() as AddressInfo
    const { dir } = project({
      'podwire.config.json': { networkPlugin: 'kubenet' },
      'package.json': { private: true },
    })
    const env = {
      ...process.env,
      PODWIRE_CONFIG: '',
      npm_config_cache: cache,
      npm_config_registry: registry ?? `http://127.0.0.1:${port}/`,
    }
    const child = spawn(process.execPath, [bin, 'plugin', ...args], {
      cwd: dir,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const result = await ended(child)
    return { ...result, files: readdirSync(dir) }
  }
  const untouched = { code: 1, files: ['package.json', 'podwire.config.json'] }

  test('refuses a version for a newer contract, and names the newest that fits', async () => {
    expect(await plugin(['add', 'future'])).toMatchObject({
      ...untouched,
      stderr: expect.stringMatching(
        /future@2\.0\.0 can't be used: it is made for version 2 .* podwire plugin add podwire-plugin-future@1\.10\.0\n/,
      ),
    })
    expect(await plugin(['add', 'only-future'])).toMatchObject({
      ...untouched,
      stderr: expect.stringContaining('no version that this podwire can use'),
    })
  })

  test('refuses a package without a manifest, and one whose name and manifest disagree', async () => {
    expect(await plugin(['add', 'plain'])).toMatchObject({
      ...untouched,
      stderr: expect.stringContaining('it is not a plugin package: it has no "podwire" key'),
    })
    expect(await plugin(['add', 'other-name'])).toMatchObject({
      ...untouched,
      stderr: expect.stringContaining('its name says "other-name" and its manifest says "kubenet"'),
    })
  })

  test('tells what is not there, a registry that fails, and no network', async () => {
    expect(await plugin(['add', 'nobody'])).toMatchObject({
      ...untouched,
      stderr: expect.stringContaining('The registry has no podwire-plugin-nobody'),
    })
    expect(await plugin(['add', 'down'])).toMatchObject({
      ...untouched,
      stderr: expect.stringMatching(/could not ask the registry for podwire-plugin-down: E500/),
    })
    expect(await plugin(['add', 'future'], 'http://127.0.0.1:1/')).toMatchObject({
      ...untouched,
      stderr: expect.stringMatching(/could not ask the registry for podwire-plugin-future: ECONNREFUSED/),
    })
  }, 90_000)

  test('search asks for plugin packages with these words and nothing else', async () => {
    const { code, stdout } = await plugin(['search', 'vlan', 'trunk', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual([
      { name: 'podwire-plugin-found', version: '1.0.0', description: 'podwire-plugin vlan trunk' },
    ])
  })

  test('info exits with 1 for what can not be used, and says which version can', async () => {
    const { code, stdout } = await plugin(['info', 'future', '--json'])
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ version: '2.0.0', usable: false, usableVersion: '1.10.0' })
  })
})

describe('a package is named', () => {
  test.each([
    ['mysdn', 'podwire-plugin-mysdn', ''],
    ['acme.io/mysdn@^1.2', 'podwire-plugin-acme.io__mysdn', '^1.2'],
    ['@acme/podwire-plugin-mysdn@next', '@acme/podwire-plugin-mysdn', 'next'],
    ['cni', '@podwire/plugin-cni', ''],
  ])('%s', (given, name, wanted) => {
    expect(parsePackageSpec(given)).toEqual({ name, wanted })
  })

  test.each(['--registry=http://x', '../dir', 'git+ssh://host/x', 'mysdn@file:../x', 'Mysdn', ''])(
    'not by %s',
    (given) => {
      expect(() => parsePackageSpec(given)).toThrow()
    },
  )
})

test.each([
  [{ 'package.json': '{"packageManager": "pnpm@10.0.0"}', 'package-lock.json': '' }, 'pnpm'],
  [{ 'package.json': '{"packageManager": "yarn@4.0.0"}' }, 'yarn-berry'],
  [{ 'package.json': '{}', 'yarn.lock': '' }, 'yarn'],
  [{ 'package.json': '{}', 'package-lock.json': '' }, 'npm'],
  [{ 'package.json': 'not JSON' }, 'pnpm'],
])('the package manager of %j is %s', (files, manager) => {
  const { dir } = project(files)
  expect(packageManagerOf(dir, { npm_config_user_agent: 'pnpm/10.0.0 node/v20' })).toBe(manager)
})

test('a project inside of another one has its own package manager', () => {
  const { dir } = project({
    'package.json': '{"packageManager": "pnpm@10.0.0"}',
    'inner/package.json': '{}',
    'inner/package-lock.json': '',
  })
  expect(packageManagerOf(join(dir, 'inner'), {})).toBe('npm')
})

describe('a configuration that is edited', () => {
  const edited = async (name: string, text: string, edit: Parameters<typeof editConfig>[1]) => {
    const { dir } = project()
    const file = join(dir, name)
    writeFileSync(file, text)
    const told = await editConfig(file, edit)
    return { told, text: readFileSync(file, 'utf8'), files: readdirSync(dir) }
  }

  test('keeps comments and order in YAML', async () => {
    const text = '# mine\nnetworkPlugin: kubenet # why\nplugins:\n  # of kubenet\n  kubenet:\n    mtu: 9000\n'
    const result = await edited('podwire.config.yaml', text, {
      addOptions: ['acme.io/mysdn'],
      networkPlugin: 'acme.io/mysdn',
    })
    expect(result).toEqual({
      told: true,
      text: '# mine\nnetworkPlugin: acme.io/mysdn # why\nplugins:\n  # of kubenet\n  kubenet:\n    mtu: 9000\n  acme.io/mysdn: {}\n',
      files: ['podwire.config.yaml'],
    })
    const back = await edited('podwire.config.yaml', result.text, {
      removeOptions: ['acme.io/mysdn'],
      networkPlugin: 'kubenet',
    })
    expect(back.text).toBe(text)
  })

  test('keeps order and indentation in JSON, and is left alone where it says so already', async () => {
    const text = '{\n\t"podCIDR": "10.0.0.0/16",\n\t"networkPlugin": "kubenet"\n}\n'
    const { text: written } = await edited('a.json', text, { addOptions: ['mysdn'] })
    expect(written).toBe(text.replace('"kubenet"\n', '"kubenet",\n\t"plugins": {\n\t\t"mysdn": {}\n\t}\n'))
    expect(await edited('a.json', written, { addOptions: ['mysdn'] })).toMatchObject({
      told: false,
      text: written,
    })
  })

  test('is a person’s to edit where it is a program', async () => {
    const text = 'export default {}\n'
    const result = await edited('a.ts', text, { addOptions: ['mysdn'], networkPlugin: 'mysdn' })
    expect(result).toMatchObject({ told: "networkPlugin: 'mysdn',\nplugins: { 'mysdn': {} },", text })
  })
})
