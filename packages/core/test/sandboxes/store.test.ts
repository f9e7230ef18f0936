import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { SandboxRecord } from '../../src/sandboxes/record.ts'
import { createSandboxStore } from '../../src/sandboxes/store.ts'
import { workspace } from '../workspace.ts'

const record = (sandboxId: string): SandboxRecord => ({
  version: 1,
  pod: {
    namespace: 'default',
    name: 'web',
    sandboxId,
    netns: `/run/netns/${sandboxId}`,
    annotations: { a: 'b' },
    portMappings: [],
  },
  netnsIdentity: { dev: 4, ino: 7 },
  ownsNetns: true,
  plugin: 'x',
  pluginStart: {
    name: 'x',
    packageDir: '/x',
    podCIDR: '',
    hairpinMode: 'none',
    nonMasqueradeCIDR: '10.0.0.0/8',
    mtu: 0,
  },
  phase: 'ready',
  status: { ip: '10.0.0.2' },
  createdAt: '2026-01-01T00:00:00.000Z',
  setUpMs: 1.5,
})

test('keeps what it is given, for its owner alone', async () => {
  const { dir } = await workspace()
  const store = createSandboxStore(join(dir, 'state'))
  expect(store.list()).toEqual({ records: [], unreadable: [] })
  store.write(record('b'))
  store.write(record('a'))
  expect(store.get('a')).toEqual(record('a'))
  expect(store.list().records.map(({ pod }) => pod.sandboxId)).toEqual(['a', 'b'])
  expect((await stat(join(dir, 'state/sandboxes/a.json'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(dir, 'state/sandboxes'))).mode & 0o777).toBe(0o700)
  store.remove(record('a'))
  store.remove(record('a'))
  expect(store.get('a')).toBeUndefined()
})

test('keeps a record beside its change, and says that a tear-down began, without writing anything anew', async () => {
  const { dir } = await workspace()
  const store = createSandboxStore(dir)
  const { pod } = record('a')
  const changed = { ...pod, annotations: { a: 'c' } }
  store.write(record('a'))
  store.write({ ...record('a'), pod: changed, previous: pod, phase: 'changing' })
  expect(store.list().records).toMatchObject([{ phase: 'changing', pod: changed, previous: pod }])
  store.forgetChange(record('a'))
  expect(store.get('a')).toEqual(record('a'))
  store.write({ ...record('a'), pod: changed, previous: pod, phase: 'changing' })
  store.write({ ...record('a'), pod: changed })
  expect(store.list().records).toEqual([{ ...record('a'), pod: changed }])
  expect(await readdir(join(dir, 'sandboxes'))).toEqual(['a.json'])
  const again = { ...pod, annotations: { a: 'd' } }
  store.write({ ...record('a'), pod: again, previous: changed, phase: 'changing', problem: 'stuck' })
  store.settleChange(record('a'))
  expect(store.list().records).toEqual([{ ...record('a'), pod: again }])
  expect(await readdir(join(dir, 'sandboxes'))).toEqual(['a.json'])
  store.write({ ...record('a'), pod: changed })

  store.markTearingDown(record('a'))
  expect(await readdir(join(dir, 'sandboxes'))).toEqual(['a.leaving'])
  expect(store.find(pod)).toEqual({ ...record('a'), pod: changed, phase: 'tearing-down' })
  expect(store.list().records).toEqual([{ ...record('a'), pod: changed, phase: 'tearing-down' }])
  store.write({ ...record('a'), phase: 'tearing-down', problem: 'stuck' })
  expect(store.list().records).toMatchObject([{ phase: 'tearing-down', problem: 'stuck' }])
  store.markTearingDown(store.get('a')!)
  store.remove(record('a'))
  expect(store.list()).toEqual({ records: [], unreadable: [] })
  // Of what was never written there is nothing to say.
  store.markTearingDown(record('a'))
  expect(await readdir(join(dir, 'sandboxes'))).toEqual([])
})

test('finds a pod whatever its sandbox is called', async () => {
  const { dir } = await workspace()
  const store = createSandboxStore(dir)
  expect(store.find({ namespace: 'default', name: 'web' })).toBeUndefined()
  store.write(record('named-by-a-runtime'))
  expect(store.find({ namespace: 'default', name: 'web' })).toEqual(record('named-by-a-runtime'))
  expect(store.find({ namespace: 'default', name: 'other' })).toBeUndefined()
  store.remove(record('named-by-a-runtime'))
  expect(await readdir(join(dir, 'pods'))).toEqual([])
})

test('what a writer that was killed left is swept away, what a live one writes is not', async () => {
  const { dir, write } = await workspace()
  await write('sandboxes/.4000000.0a0a0a0a.tmp', '{"vers')
  await write(`sandboxes/.${process.ppid}.0a0a0a0a.tmp`, '{"vers')
  await write('.4000000.0a0a0a0a.tmp', '{"vers')
  const store = createSandboxStore(dir)
  expect(store.list()).toEqual({ records: [], unreadable: [] })
  store.sweep()
  expect(await readdir(join(dir, 'sandboxes'))).toEqual([`.${process.ppid}.0a0a0a0a.tmp`])
  expect(await readdir(dir)).toEqual(['sandboxes'])
})

test.each([
  ['empty', '', 'it is empty'],
  ['cut short', '{"version":1,"pod":{"na', 'it is not JSON, or cut short'],
  ['of another version', '{"version":2}', 'version'],
  ['a list', '[]', 'expected'],
  ['without a phase', JSON.stringify({ ...record('a'), phase: undefined }), 'phase'],
  [
    'with a port out of range',
    JSON.stringify({
      ...record('a'),
      pod: { ...record('a').pod, portMappings: [{ hostPort: 0, containerPort: 1, protocol: 'tcp' }] },
    }),
    'port 0 in 0:1/tcp must be 1–65535',
  ],
  ['of another sandbox', JSON.stringify(record('../../victim')), 'sandbox id'],
  ['of another sandbox, well spelt', JSON.stringify(record('b')), 'it is the record of sandbox "b"'],
  [
    'of a network namespace that no host makes',
    JSON.stringify({ ...record('a'), pod: { ...record('a').pod, netns: '/etc/passwd' } }),
    'not one that a host makes',
  ],
])('a record that is %s is reported, and can be set aside', async (_name, text, reason) => {
  const { dir } = await workspace()
  const store = createSandboxStore(dir)
  store.write(record('good'))
  const file = join(dir, 'sandboxes/a.json')
  await writeFile(file, text)
  const { records, unreadable } = store.list()
  expect(records).toHaveLength(1)
  expect(unreadable).toMatchObject([{ file }])
  expect(unreadable[0]?.reason).toContain(reason)
  expect(store.get('a')).toBeUndefined()
  expect(await readFile(store.setAside(file), 'utf8')).toBe(text)
  expect(store.list().unreadable).toEqual([])
})

test('a directory that can not be written says what to do', async () => {
  const { dir, write } = await workspace()
  await write('file', '')
  const store = createSandboxStore(join(dir, 'file'))
  expect(() => store.write(record('a'))).toThrow('Run as root, or give a directory of yours with --state-dir')
})
