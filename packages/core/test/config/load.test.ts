import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { workspace } from '../workspace.ts'

const podCIDR = '10.1.0.0/16'

test.each([
  ['json', JSON.stringify({ podCIDR })],
  ['yaml', `podCIDR: ${podCIDR}`],
  ['yml', `podCIDR: ${podCIDR}`],
  ['js', `export default { podCIDR: '${podCIDR}' }`],
  ['mjs', `export default { podCIDR: '${podCIDR}' }`],
  ['ts', `const podCIDR: string = '${podCIDR}'\nexport default { podCIDR }`],
  ['mts', `const podCIDR = '${podCIDR}' satisfies string\nexport default { podCIDR }`],
])('reads podwire.config.%s', async (extension, text) => {
  const { dir, write } = await workspace()
  const file = await write(`podwire.config.${extension}`, text)
  expect(await loadConfig({ cwd: dir, env: {} })).toMatchObject({ file, dir, config: { podCIDR, mtu: 0 } })
})

test('looks upwards from the working directory, nearest first', async () => {
  const { dir, write } = await workspace()
  await write('podwire.config.json', {})
  const nearer = await write('a/podwire.config.yaml', 'mtu: 1400')
  await write('a/b/c/other.txt', '')
  expect((await loadConfig({ cwd: join(dir, 'a/b/c'), env: {} })).file).toBe(nearer)
})

test('a file given wins over PODWIRE_CONFIG, and that over the search', async () => {
  const { dir, write } = await workspace()
  await write('podwire.config.json', {})
  const given = await write('given.json', { mtu: 1400 })
  const fromEnv = await write('env.json', { mtu: 1401 })
  const env = { PODWIRE_CONFIG: fromEnv }
  expect((await loadConfig({ cwd: dir, file: 'given.json', env })).file).toBe(given)
  expect((await loadConfig({ cwd: dir, env })).file).toBe(fromEnv)
})

test('without any file the defaults hold', async () => {
  const { dir } = await workspace()
  expect((await loadConfig({ cwd: dir, env: {} })).config).toEqual({
    networkPlugin: 'kubernetes.io/no-op',
    hairpinMode: 'hairpin-veth',
    nonMasqueradeCIDR: '10.0.0.0/8',
    mtu: 0,
    podCIDR: '',
    plugins: {},
    discovery: { paths: [], packages: [] },
    onMissingCapability: 'error',
    deadlines: {
      init: 30_000,
      event: 30_000,
      setUpPod: 120_000,
      tearDownPod: 120_000,
      getPodNetworkStatus: 10_000,
      status: 10_000,
      checkPod: 30_000,
      collectGarbage: 120_000,
    },
    stateDir: '/run/podwire',
  })
})

test('resolves paths from the directory of the file', async () => {
  const { dir, write } = await workspace()
  await write('podwire.config.json', {
    discovery: { paths: ['./extra'], packages: ['../one'] },
    stateDir: 'state',
  })
  const { config } = await loadConfig({ cwd: dir, env: {} })
  expect(config.discovery).toEqual({
    paths: [join(dir, 'extra')],
    packages: [join(dir, '../one')],
  })
  expect(config.stateDir).toBe(join(dir, 'state'))
})

test.each([
  ['json', '', 'it is empty'],
  ['yaml', '  \n', 'it is empty'],
  ['ts', '', 'it is empty'],
  ['json', '{ "mtu": 14', 'it is not JSON'],
  ['yaml', 'plugins: {a: ', 'it is not YAML'],
  ['yml', 'a: b: c', 'it is not YML'],
  ['js', 'export default {', 'it failed to run'],
  ['ts', 'export default {', 'it failed to run'],
  ['ts', "throw new Error('no luck')", 'it failed to run: no luck'],
  ['mjs', "throw 'a string'", 'it failed to run: a string'],
  ['mts', "import 'not-there'", 'it failed to run'],
  ['ts', 'export const config = {}', 'it has no default export'],
  ['js', 'export {}', 'it has no default export'],
])('refuses podwire.config.%s that says %j', async (extension, text, reason) => {
  const { dir, write } = await workspace()
  const file = await write(`podwire.config.${extension}`, text)
  await expect(loadConfig({ cwd: dir, env: {} })).rejects.toMatchObject({
    code: 'CONFIG_UNREADABLE',
    exitCode: 2,
    message: expect.stringContaining(`${file}: ${reason}`),
  })
})

test('a file that was named must be there, and of a known format', async () => {
  const { dir, write } = await workspace()
  await expect(loadConfig({ cwd: dir, file: 'none.json' })).rejects.toMatchObject({
    code: 'CONFIG_NOT_FOUND',
    exitCode: 2,
  })
  await write('podwire.toml', 'mtu = 1')
  await expect(loadConfig({ cwd: dir, file: 'podwire.toml' })).rejects.toMatchObject({
    code: 'CONFIG_UNREADABLE',
  })
  await expect(loadConfig({ cwd: dir, file: '.' })).rejects.toMatchObject({ code: 'CONFIG_UNREADABLE' })
})

test('what holds without a file is what an empty file says, but for what the program sets', async () => {
  const { dir, write } = await workspace()
  const none = (await loadConfig({ cwd: dir, env: {}, fallback: { podCIDR } })).config
  await write('podwire.config.json', { podCIDR })
  expect(none).toEqual((await loadConfig({ cwd: dir, env: {} })).config)
})
