import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { discoverPlugins } from '../../src/plugins/discover.ts'
import { type Workspace, workspace } from '../workspace.ts'

const discover = (
  { dir }: Workspace,
  { from = '.', paths = [] as string[], packages = [] as string[] } = {},
) =>
  discoverPlugins({
    from: join(dir, from),
    paths: paths.map((path) => join(dir, path)),
    packages: packages.map((path) => join(dir, path)),
  })

const offered = ({ packages }: Awaited<ReturnType<typeof discoverPlugins>>) =>
  packages.map(({ key, plugins }) => [key, plugins])

test('finds packages by the convention, in this node_modules and its parents', async () => {
  const files = await workspace()
  await files.plugin('podwire-plugin-mysdn')
  await files.plugin('podwire-plugin-acme.io__mysdn')
  await files.plugin('@acme/podwire-plugin-other')
  await files.plugin('@podwire/plugin-exec', { manifest: { apiVersion: 1, plugins: 'dynamic' } })
  await files.plugin('podwire-plugin-near', { nodeModules: 'a/b/node_modules' })
  await files.plugin('left-pad')
  await files.plugin('@acme/plugin-nothing')
  await mkdir(join(files.dir, 'a/b/c'), { recursive: true })
  expect(offered(await discover(files, { from: 'a/b/c' }))).toEqual([
    ['near', ['near']],
    ['acme/other', ['acme/other']],
    ['exec', 'dynamic'],
    ['acme.io/mysdn', ['acme.io/mysdn']],
    ['mysdn', ['mysdn']],
  ])
})

test('what comes with the program can not be shadowed, and what is installed beside it is found', async () => {
  const files = await workspace()
  const own = await files.plugin('@podwire/plugin-kubenet', {
    nodeModules: 'usr/lib/node_modules/podwire/node_modules',
    manifest: { apiVersion: 1, plugins: ['kubenet'] },
  })
  await files.plugin('podwire-plugin-beside', { nodeModules: 'usr/lib/node_modules' })
  const near = await files.plugin('podwire-plugin-kubenet', { nodeModules: 'work/node_modules' })
  const found = await discoverPlugins({
    from: join(files.dir, 'work'),
    paths: [],
    packages: [],
    installation: { included: [own], from: join(files.dir, 'usr/lib/node_modules/podwire') },
  })
  expect(offered(found)).toEqual([
    ['kubenet', ['kubenet']],
    ['beside', ['beside']],
  ])
  expect(found.rejected).toMatchObject([{ path: near, reason: expect.stringContaining(own) }])
})

test('nothing near is looked at where no configuration says where to start', async () => {
  const files = await workspace()
  await files.plugin('podwire-plugin-near')
  const found = await discoverPlugins({ from: undefined, paths: [], packages: [] })
  expect(found).toEqual({ packages: [], rejected: [] })
})

test('takes glob patterns, leaves out what an exclamation mark names, and tells of a pattern that matches nothing', async () => {
  const files = await workspace()
  for (const name of ['one', 'two', 'old']) {
    const manifest = { apiVersion: 1, plugins: [`acme.io/${name}`] }
    await files.plugin(name, { nodeModules: 'plugins', manifest })
  }
  await files.plugin('podwire-plugin-far', { nodeModules: 'vendor/a' })
  await files.link('plugins/linked', '../vendor/a/podwire-plugin-far')
  const all = await discoverPlugins({
    from: undefined,
    paths: [join(files.dir, 'vendor/*')],
    packages: [`${files.dir}/plugins/*`, `!${files.dir}/plugins/old`, `${files.dir}/none/*`],
  })
  expect(offered(all)).toEqual([
    ['far', ['far']],
    ['one', ['acme.io/one']],
    ['two', ['acme.io/two']],
  ])
  expect(all.rejected).toMatchObject([{ path: `${files.dir}/none/*`, reason: 'there is no such directory' }])
})

test('follows links as pnpm makes them, and counts one directory once', async () => {
  const files = await workspace()
  await files.plugin('podwire-plugin-linked', { nodeModules: 'store/v1/node_modules' })
  await files.link('node_modules/podwire-plugin-linked', '../store/v1/node_modules/podwire-plugin-linked')
  await files.link(
    'a/node_modules/podwire-plugin-linked',
    '../../store/v1/node_modules/podwire-plugin-linked',
  )
  const found = await discover(files, { from: 'a' })
  expect(offered(found)).toEqual([['linked', ['linked']]])
  expect(found.rejected).toEqual([])
})

test('searches extra paths, and takes named packages whatever they are called', async () => {
  const files = await workspace()
  await files.plugin('podwire-plugin-far', { nodeModules: 'vendor' })
  await files.plugin('networking', {
    nodeModules: 'lib',
    manifest: { apiVersion: 1, plugins: ['acme.io/sdn'] },
  })
  const found = await discover(files, { paths: ['vendor'], packages: ['lib/networking'] })
  expect(offered(found)).toEqual([
    ['networking', ['acme.io/sdn']],
    ['far', ['far']],
  ])
})

test('a nearer package shadows a farther one of its name, which is kept with the reason', async () => {
  const files = await workspace()
  const near = await files.plugin('podwire-plugin-x', { nodeModules: 'a/node_modules', version: '2.0.0' })
  const far = await files.plugin('podwire-plugin-x')
  const { packages, rejected } = await discover(files, { from: 'a' })
  expect(packages.find(({ key }) => key === 'x')).toMatchObject({ dir: near, version: '2.0.0' })
  expect(rejected).toMatchObject([{ path: far, reason: `shadowed by podwire-plugin-x@2.0.0 in ${near}` }])
})

test('two packages with one plugin name: the second is rejected with both paths', async () => {
  const files = await workspace()
  const first = await files.plugin('@acme/podwire-plugin-sdn')
  const second = await files.plugin('podwire-plugin-acme__sdn')
  const { rejected } = await discover(files)
  expect(rejected).toMatchObject([{ path: second }])
  expect(rejected[0]?.reason).toContain(first)
  expect(rejected[0]?.reason).toContain(second)
})

test.each<[string, string, unknown, string]>([
  [
    'a name and a manifest that disagree',
    'podwire-plugin-a',
    { apiVersion: 1, plugins: ['b'] },
    'its name says "a" and its manifest says "b"',
  ],
  [
    'an unsupported apiVersion',
    'podwire-plugin-a',
    { apiVersion: 2 },
    'its apiVersion is 2, and this host knows 1',
  ],
  ['no apiVersion', 'podwire-plugin-a', {}, 'its "podwire" key: apiVersion'],
  ['no manifest', 'podwire-plugin-a', undefined, 'has no "podwire" key'],
  ['an unknown key', 'podwire-plugin-a', { apiVersion: 1, plugin: 'a' }, 'its "podwire" key'],
  ['no plugin', 'podwire-plugin-a', { apiVersion: 1, plugins: [] }, 'lists no plugin'],
  ['an invalid qualified name', 'podwire-plugin-_a', { apiVersion: 1 }, 'its plugin name "_a" is invalid'],
  [
    'an unknown capability',
    'podwire-plugin-a',
    { apiVersion: 1, capabilities: ['flying'] },
    'capabilities.0',
  ],
])('a package with %s is rejected, and says so', async (_name, packageName, manifest, reason) => {
  const files = await workspace()
  const path = await files.plugin(packageName, { manifest })
  if (manifest === undefined) {
    await files.write(`node_modules/${packageName}/package.json`, { name: packageName })
  }
  expect((await discover(files)).rejected).toMatchObject([{ path, reason: expect.stringContaining(reason) }])
})

test('what can not be read is rejected with the reason', async () => {
  const files = await workspace()
  await files.write('node_modules/podwire-plugin-torn/package.json', '{"name": "podw')
  await mkdir(join(files.dir, 'node_modules/podwire-plugin-empty'))
  await files.link('node_modules/podwire-plugin-nowhere', '../gone')
  const { rejected } = await discover(files, { packages: ['none'] })
  expect(
    Object.fromEntries(rejected.map(({ path, reason }) => [path.split('/').at(-1), reason])),
  ).toMatchObject({
    none: 'there is no such directory',
    'podwire-plugin-empty': expect.stringContaining("package.json can't be read"),
    'podwire-plugin-nowhere': 'it is a link that leads nowhere',
    'podwire-plugin-torn': 'its package.json is not JSON',
  })
})
