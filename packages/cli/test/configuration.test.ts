import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasMachineUsers } from '@podwire/api/files'
import { expect, test } from 'vitest'
import { bin, project } from './podwire.ts'

const keys = ['networkPlugin', 'podCIDR', 'hairpinMode', 'nonMasqueradeCIDR', 'mtu', 'plugins']

test.each(['json', 'yaml', 'ts'])(
  'init --format %s writes a configuration that a start accepts',
  (format) => {
    const { podwire, dir } = project()
    expect(podwire('init', '--format', format).status).toBe(0)
    const file = join(dir, `podwire.config.${format}`)
    const text = readFileSync(file, 'utf8')
    for (const key of keys) expect(text).toContain(key)
    if (format !== 'json') expect(text).toContain('How a pod reaches itself')
    expect(podwire('config', 'check')).toMatchObject({ status: 0, stdout: `${file}: ok\n` })
    expect(podwire('init', '--format', format)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('exists already'),
    })
    expect(podwire('init', '--format', format, '--force').status).toBe(0)
  },
)

test('init writes the schema that its configuration names', () => {
  const { podwire, dir } = project()
  podwire('init')
  const { $schema } = JSON.parse(readFileSync(join(dir, 'podwire.config.json'), 'utf8'))
  expect(JSON.parse(readFileSync(join(dir, $schema), 'utf8'))).toMatchObject({
    type: 'object',
    properties: { podCIDR: {} },
  })
})

test('init writes no second configuration beside one of another format', () => {
  const { podwire, dir } = project({ 'podwire.config.yaml': 'mtu: 1400' })
  for (const args of [['init'], ['init', '--force'], ['init', '-c', 'podwire.config.mts']]) {
    expect(podwire(...args)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(`beside ${join(dir, 'podwire.config.yaml')}`),
    })
  }
  expect(existsSync(join(dir, 'podwire.config.json'))).toBe(false)
})

test('init writes where -c says, in the format of its name', () => {
  const { podwire, dir } = project()
  mkdirSync(join(dir, 'etc'))
  expect(podwire('init', '-c', 'etc/net.yml').status).toBe(0)
  expect(podwire('-c', 'etc/net.yml', 'config', 'check').status).toBe(0)
  expect(podwire('init', '-c', 'etc/net.toml')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('.yaml'),
  })
  expect(podwire('init', '-c', 'etc/other.yml', '--format', 'json').status).toBe(2)
})

test('config print fills in the defaults, config schema is a JSON Schema', () => {
  const { podwire } = project({ 'podwire.config.yaml': 'mtu: 1400' })
  expect(JSON.parse(podwire('config', 'print').stdout)).toMatchObject({
    mtu: 1400,
    hairpinMode: 'hairpin-veth',
  })
  expect(JSON.parse(podwire('config', 'schema').stdout)).toMatchObject({
    type: 'object',
    properties: { mtu: {} },
  })
})

test('config schema holds the options of an installed plugin', () => {
  const { podwire } = project({
    'podwire.config.json': {},
    'node_modules/podwire-plugin-odd/package.json': {
      name: 'podwire-plugin-odd',
      version: '1.0.0',
      type: 'module',
      exports: './index.js',
      podwire: { apiVersion: 1 },
    },
    'node_modules/podwire-plugin-odd/index.js': `
      const options = { type: 'object', properties: { wire: { type: 'string' } } }
      const standard = { version: 1, vendor: 'odd', validate: (value) => ({ value }), jsonSchema: { input: () => options } }
      export default { apiVersion: 1, options: { '~standard': standard }, probe: () => [] }`,
  })
  expect(JSON.parse(podwire('config', 'schema').stdout).properties.plugins.properties).toMatchObject({
    odd: { properties: { wire: { type: 'string' } } },
  })
})

test.each([
  [{ networkPlugin: 'kubent' }, 'Did you mean "kubenet"?'],
  [{ networkPlugin: 'kubenet', plugins: { kubenet: { brigde: 'cbr1' } } }, 'plugins["kubenet"].brigde'],
  [{ networkPlugin: 'kubenet', plugins: { kubent: {} } }, 'did you mean "kubenet"?'],
  [{ networkPlugins: 'kubenet' }, 'networkPlugins: unknown key'],
])('config check finds what a start would: %j', (configuration, text) => {
  const { podwire } = project({ 'podwire.config.json': configuration })
  const { status, stderr } = podwire('config', 'check')
  expect(stderr).toContain(text)
  expect(status).toBe(2)
})

test.each<[object, string]>([
  [{ plugins: { kubenet: { datapath: 'bridge' } } }, 'plugins.kubenet'],
  [{ podCIDR: '10.88.0.0/16' }, 'podCIDR'],
])('a configuration that leaves pods without a network says so: %j', (configuration, text) => {
  const { podwire } = project({ 'podwire.config.json': { ...configuration, stateDir: './state' } })
  const warning = new RegExp(`pods get no network: .*${text}.*"networkPlugin": "kubenet"`)
  expect(podwire('config', 'check')).toMatchObject({ status: 0, stderr: expect.stringMatching(warning) })
  expect(podwire('repair')).toMatchObject({ status: 0, stderr: expect.stringMatching(warning) })
  expect(podwire('ps')).toMatchObject({ status: 0, stderr: '' })
})

test.each<[object, boolean]>([
  [{ plugins: { kubenet: { datapath: 'routed' } } }, true],
  [{ podCIDR: 'auto' }, false],
  [{ cluster: { etcd: { endpoints: ['http://127.0.0.1:2379'] } } }, false],
])('config check warns where nobody says the pod CIDR: %j', (configuration, isWarned) => {
  const { podwire } = project({ 'podwire.config.json': { networkPlugin: 'kubenet', ...configuration } })
  const { status, stderr } = podwire('config', 'check')
  expect(status).toBe(0)
  expect(stderr.includes('"podCIDR": "auto"')).toBe(isWarned)
})

const isRealRoot = process.getuid?.() === 0 && hasMachineUsers()

test.runIf(isRealRoot)('as root, what another user could have written is used only with --trust', () => {
  const { podwire, dir } = project({ 'podwire.config.mjs': 'export default { mtu: 1400 }' })
  chownSync(dir, 65534, 65534)
  chownSync(join(dir, 'podwire.config.mjs'), 65534, 65534)
  const refused = podwire('config', 'print')
  expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining('--trust') })
  expect(JSON.parse(podwire('config', 'print', '--trust', dir).stdout).mtu).toBe(1400)
  expect(JSON.parse(podwire('--trust', '/nowhere', 'config', 'print', '--trust', dir).stdout).mtu).toBe(1400)
})

test('a configuration that may not be read is an error', () => {
  const { dir } = project({ 'podwire.config.json': {} })
  chmodSync(join(dir, 'podwire.config.json'), 0)
  // Root without a capability is as powerless as anyone, in a user namespace too.
  const powerless = ['--bounding-set=-all', '--inh-caps=-all', process.execPath, bin, 'config', 'check']
  const { status, stderr } = spawnSync('setpriv', powerless, { cwd: dir, encoding: 'utf8' })
  expect([status, stderr]).toEqual([2, expect.stringContaining("podwire.config.json: it can't be read")])
})
