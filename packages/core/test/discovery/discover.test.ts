import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { discoverPlugins } from '../../src/discovery/discover.ts'
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

// The no-op default is always there.
const offered = ({ packages }: Awaited<ReturnType<typeof discoverPlugins>>) =>
  packages.filter(({ key }) => key !== 'noop').map(({ key, plugins }) => [key, plugins])

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

test('the no-op plugin is found though no node_modules is near', async () => {
  const { packages } = await discover(await workspace())
  expect(packages).toMatchObject([{ packageName: '@podwire/plugin-noop', plugins: ['kubernetes.io/no-op'] }])
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
