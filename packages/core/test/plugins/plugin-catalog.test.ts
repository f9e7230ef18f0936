import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isPodwireError } from '@podwire/api'
import { recordingLogger } from '@podwire/testing'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import type { PodwireConfig } from '../../src/config/schema.ts'
import { createNetworkHost } from '../../src/host.ts'
import { createPluginCatalog } from '../../src/plugins/catalog.ts'
import { validateConfiguration } from '../../src/plugins/validate.ts'
import { offering, type Workspace, workspace } from '../workspace.ts'

async function load(files: Workspace, name: string, options: unknown = undefined) {
  const { catalog } = await catalogOf(files, {
    deadlines: { init: '300ms' },
    plugins: options === undefined ? {} : { x: options },
  })
  return (await catalog.load(name)).plugins.map((plugin) => plugin.name)
}

async function catalogOf(files: Workspace, input: PodwireConfig) {
  const configuration = await loadConfig({ config: input, cwd: files.dir })
  return { configuration, catalog: await createPluginCatalog({ configuration, log: recordingLogger() }) }
}

test('imports the package that offers the plugin, and no other', async () => {
  const files = await workspace()
  await files.plugin('podwire-plugin-x', { code: offering('x') })
  await files.plugin('podwire-plugin-hostile', {
    code: 'throw new Error("code that is merely installed must not run")',
  })
  expect(await load(files, 'x')).toEqual(['x'])
})

test('of fifty plugins that are installed a host imports the one that is chosen', async () => {
  const files = await workspace()
  for (let number = 0; number < 50; number++) {
    const name = `sdn-${number}`
    const code = `(globalThis.importedPlugins ??= []).push('${name}')\n${offering(name)}`
    await files.plugin(`podwire-plugin-${name}`, { code })
  }
  const host = await createNetworkHost({
    config: { networkPlugin: 'sdn-31', stateDir: './state' },
    cwd: files.dir,
    log: recordingLogger(),
  })
  await host.plugin()
  await host.close()
  expect(globalThis).toMatchObject({ importedPlugins: ['sdn-31'] })
})

test('asks the dynamic packages where no manifest states the name', async () => {
  const files = await workspace()
  await files.plugin('podwire-plugin-x', {
    manifest: { apiVersion: 1, plugins: 'dynamic' },
    code: offering('any.io/thing'),
  })
  expect(await load(files, 'any.io/thing')).toEqual(['any.io/thing'])
})

test('passes options through the schema of the package, which may change them', async () => {
  const files = await workspace()
  const schema = `{ '~standard': { version: 1, vendor: 'test', validate: (value) =>
    typeof value.bridge === 'string' ? { value: { bridge: value.bridge + '0' } }
      : { issues: [{ message: 'expected a string', path: ['bridge'] }] } } }`
  const code = offering('x').replace(
    'probe: () =>',
    `options: ${schema}, probe: ({ options }) => (globalThis.seen = options) &&`,
  )
  await files.plugin('podwire-plugin-x', { code })
  expect(await load(files, 'x', { bridge: 'br' })).toEqual(['x'])
  expect(globalThis).toMatchObject({ seen: { bridge: 'br0' } })
  await expect(load(files, 'x', { bridge: 7 })).rejects.toMatchObject({
    code: 'PLUGIN_OPTIONS_INVALID',
    exitCode: 2,
    message: expect.stringContaining('plugins["x"].bridge: expected a string, got 7'),
  })
})

test('a package compiled as CommonJS is fine', async () => {
  const files = await workspace()
  await files.plugin('podwire-plugin-x')
  await files.write('node_modules/podwire-plugin-x/package.json', {
    name: 'podwire-plugin-x',
    main: 'index',
    podwire: { apiVersion: 1 },
  })
  const code = offering('x').replace(
    'export default',
    "Object.defineProperty(exports, '__esModule', { value: true }); exports.default =",
  )
  await files.write('node_modules/podwire-plugin-x/index.js', code)
  expect(await load(files, 'x')).toEqual(['x'])
})

test.each([{ main: './none.js' }, { exports: './none.js' }, { exports: { './sub': './index.js' } }])(
  'a package whose entry is %j leads nowhere, and is an error that names it',
  async (entry) => {
    const files = await workspace()
    const dir = await files.plugin('podwire-plugin-x')
    const manifest = { name: 'podwire-plugin-x', version: '1.0.0', podwire: { apiVersion: 1 }, ...entry }
    await files.write('node_modules/podwire-plugin-x/package.json', manifest)
    await rm(join(dir, 'index.js'))
    await expect(load(files, 'x')).rejects.toMatchObject({
      code: 'PLUGIN_IMPORT_FAILED',
      message: expect.stringMatching(
        /podwire-plugin-x@1\.0\.0 \(.*none\.js|its "exports"|"\." .*exports|Missing "\." /,
      ),
    })
  },
)

test.each<[string, string, string, string]>([
  ['throws at import', 'throw new Error("no luck")', 'PLUGIN_IMPORT_FAILED', 'failed to load: no luck'],
  ['throws a string at import', 'throw "bare"', 'PLUGIN_IMPORT_FAILED', 'bare'],
  ['does not parse', 'export default {', 'PLUGIN_IMPORT_FAILED', 'failed to load'],
  [
    'never finishes importing',
    'await new Promise(() => setInterval(() => {}, 60000).unref()); export default 1',
    'PLUGIN_IMPORT_FAILED',
    'not done within 300 ms',
  ],
  ['has no default export', 'export const x = 1', 'PLUGIN_BAD_EXPORT', 'it has no default export'],
  ['exports a number', 'export default 7', 'PLUGIN_BAD_EXPORT', 'its default export is 7'],
  ['exports null', 'export default null', 'PLUGIN_BAD_EXPORT', 'its default export is null'],
  [
    'has another apiVersion',
    'export default { apiVersion: 9, probe() {} }',
    'PLUGIN_BAD_EXPORT',
    'its apiVersion is 9',
  ],
  ['has no probe', 'export default { apiVersion: 1 }', 'PLUGIN_BAD_EXPORT', 'no probe'],
  [
    'has options of no schema',
    'export default { apiVersion: 1, options: {}, probe() {} }',
    'PLUGIN_BAD_EXPORT',
    'Standard Schema',
  ],
  [
    'has a probe that throws',
    'export default { apiVersion: 1, probe() { throw new Error("boo") } }',
    'PLUGIN_PROBE_FAILED',
    'boo',
  ],
  [
    'has a probe that rejects with nothing',
    'export default { apiVersion: 1, probe: () => Promise.reject() }',
    'PLUGIN_PROBE_FAILED',
    'not an error',
  ],
  [
    'has a probe that hangs',
    'export default { apiVersion: 1, probe: () => new Promise(() => {}) }',
    'PLUGIN_PROBE_FAILED',
    'not done within',
  ],
  [
    'probes no array',
    'export default { apiVersion: 1, probe: () => ({}) }',
    'PLUGIN_BAD_EXPORT',
    'instead of an array',
  ],
  [
    'probes null',
    'export default { apiVersion: 1, probe: () => [null] }',
    'PLUGIN_BAD_EXPORT',
    'plugin 0 of its probe is null',
  ],
  [
    'has a plugin without methods',
    'export default { apiVersion: 1, probe: () => [{ name: "x" }] }',
    'PLUGIN_BAD_EXPORT',
    'lacks the method init, event',
  ],
  [
    'has a plugin with no name',
    offering('x').replace('name,', 'name: 7,'),
    'PLUGIN_BAD_EXPORT',
    'has the name 7',
  ],
  [
    'offers what its manifest does not',
    offering('y'),
    'PLUGIN_BAD_EXPORT',
    'its probe offers "y" and its manifest only "x"',
  ],
  [
    'has a checkPod that is not a method',
    offering('x', 'checkPod: true'),
    'PLUGIN_BAD_EXPORT',
    'not a method as checkPod',
  ],
])(
  'a package that %s is an error that names it',
  async (_name, code, errorCode, text) => {
    const files = await workspace()
    const dir = await files.plugin('podwire-plugin-x', { code })
    const error = await load(files, 'x').catch((thrown: unknown) => thrown)
    expect(isPodwireError(error) && error.code).toBe(errorCode)
    expect(String(error)).toContain(text)
    expect(String(error)).toContain(`podwire-plugin-x@1.0.0 (${dir})`)
  },
  15_000,
)

test('options for a package that takes none are an error', async () => {
  const files = await workspace()
  await files.plugin('podwire-plugin-x', { code: offering('x') })
  await expect(load(files, 'x', { bridge: 'br0' })).rejects.toMatchObject({ code: 'PLUGIN_OPTIONS_INVALID' })
})

test('a package whose source is TypeScript is loaded, and its entry is what Node would take', async () => {
  const files = await workspace()
  await files.plugin('podwire-plugin-x')
  await files.write('node_modules/podwire-plugin-x/package.json', {
    name: 'podwire-plugin-x',
    type: 'module',
    exports: { '.': { browser: './none.js', require: './none.cjs', import: { node: './src/index.ts' } } },
    podwire: { apiVersion: 1 },
  })
  await files.write('node_modules/podwire-plugin-x/src/index.ts', `const typed: number = 1\n${offering('x')}`)
  expect(await load(files, 'x')).toEqual(['x'])
})

test('checking a configuration finds what a start would, and starts nothing', async () => {
  const files = await workspace()
  await files.plugin('podwire-plugin-acme.io__sdn', {
    code: offering('acme.io/sdn', 'init() { throw new Error("started") },'),
  })
  const check = async (input: PodwireConfig) => {
    const { configuration, catalog } = await catalogOf(files, input)
    return validateConfiguration(configuration, catalog)
  }
  await check({ networkPlugin: 'acme.io/sdn' })
  await expect(check({ networkPlugin: 'acme.io/snd' })).rejects.toMatchObject({
    code: 'PLUGIN_NOT_FOUND',
    exitCode: 2,
    message: 'Network plugin "acme.io/snd" not found. There is: acme.io/sdn. Did you mean "acme.io/sdn"?',
  })
  await expect(check({ networkPlugin: 'other.io/net' })).rejects.toThrow(
    "npm install podwire-plugin-other.io__net. If it is an executable in the kubelet's directory layout: npm install @podwire/plugin-exec",
  )
  await expect(check({ networkPlugin: 'kubenet' })).rejects.toThrow('npm install @podwire/plugin-kubenet')
  await expect(check({ networkPlugin: 'acme.io/sdn', plugins: { 'acme.io/snd': {} } })).rejects.toMatchObject(
    {
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(
        'plugins.acme.io/snd: no plugin package of this name is installed; did you mean "acme.io/sdn"?',
      ),
    },
  )
  await expect(
    check({ networkPlugin: 'acme.io/sdn', plugins: { 'acme.io/sdn': { bridge: 'x' } } }),
  ).rejects.toMatchObject({ code: 'PLUGIN_OPTIONS_INVALID' })
})

test('a plugin of a rejected package says why it was rejected', async () => {
  const files = await workspace()
  await files.plugin('podwire-plugin-x', { manifest: { apiVersion: 3 } })
  await expect(load(files, 'x')).rejects.toMatchObject({
    code: 'PLUGIN_PACKAGE_REJECTED',
    message: expect.stringContaining('its apiVersion is 3'),
  })
})
