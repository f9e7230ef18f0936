import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { SandboxRecord } from '../../src/state/sandbox-record.ts'
import { createSandboxStore } from '../../src/state/sandbox-store.ts'
import { workspace } from '../workspace.ts'

const record = (sandboxId: string): SandboxRecord => ({
  version: 1,
  pod: { namespace: 'default', name: 'web', sandboxId, annotations: { a: 'b' }, portMappings: [] },
  netns: '/run/netns/x',
  netnsIdentity: { dev: 4, ino: 7 },
  ownsNetns: true,
  plugin: 'x',
  phase: 'ready',
  status: { ip: '10.0.0.2' },
  createdAt: '2026-01-01T00:00:00.000Z',
  setUpMs: 1.5,
})

test('keeps what it is given, for its owner alone', async () => {
  const { dir } = await workspace()
  const store = createSandboxStore(join(dir, 'state'))
  expect(await store.list()).toEqual({ records: [], unreadable: [] })
  await store.write(record('b'))
  await store.write(record('a'))
  expect(await store.get('a')).toEqual(record('a'))
  expect((await store.list()).records.map(({ pod }) => pod.sandboxId)).toEqual(['a', 'b'])
  expect((await stat(join(dir, 'state/sandboxes/a.json'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(dir, 'state/sandboxes'))).mode & 0o777).toBe(0o700)
  await store.remove('a')
  await store.remove('a')
  expect(await store.get('a')).toBeUndefined()
})

test('a reader sees a whole record however often it is replaced', async () => {
  const { dir } = await workspace()
  const store = createSandboxStore(dir)
  await store.write(record('a'))
  let writing = true
  const writer = (async () => {
    for (let i = 0; i < 200; i++) await store.write({ ...record('a'), netns: 'x'.repeat(i * 50) })
    writing = false
  })()
  while (writing) expect((await store.list()).unreadable).toEqual([])
  await writer
  expect(await readdir(join(dir, 'sandboxes'))).toEqual(['a.json'])
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
    'hostPort',
  ],
])('a record that is %s is reported, and can be set aside', async (_name, text, reason) => {
  const { dir } = await workspace()
  const store = createSandboxStore(dir)
  await store.write(record('good'))
  const file = join(dir, 'sandboxes/a.json')
  await writeFile(file, text)
  const { records, unreadable } = await store.list()
  expect(records).toHaveLength(1)
  expect(unreadable).toMatchObject([{ file }])
  expect(unreadable[0]?.reason).toContain(reason)
  expect(await store.get('a')).toBeUndefined()
  expect(await readFile(await store.setAside(file), 'utf8')).toBe(text)
  expect((await store.list()).unreadable).toEqual([])
})

test('a directory that can not be written says what to do', async () => {
  const { dir, write } = await workspace()
  await write('file', '')
  const store = createSandboxStore(join(dir, 'file'))
  await expect(store.write(record('a'))).rejects.toMatchObject({
    code: 'STATE_UNUSABLE',
    message: expect.stringContaining('Run as root, or give a directory of yours as stateDir'),
  })
})
