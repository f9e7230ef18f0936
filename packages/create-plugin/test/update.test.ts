import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Answers } from '../src/answers.ts'
import { writeFiles } from '../src/create.ts'
import { mergeFile } from '../src/merge-file.ts'
import { instantiate } from '../src/template.ts'
import { readOrigin, update } from '../src/update.ts'

const { signal } = new AbortController()
const answers: Answers = {
  packageName: 'podwire-plugin-mysdn',
  pluginName: 'mysdn',
  description: 'Mine.',
  kind: 'minimal',
  language: 'typescript',
}
let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'create-podwire-plugin-test-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

test('what changed in the template is merged, what the author changed stays, and what both changed is marked', async () => {
  const base = new Map(instantiate(answers, '0.1.0'))
  const older = (path: string, from: string, to: string) => {
    const text = (base.get(path)?.text ?? '').replace(from, to)
    expect(text).not.toBe(base.get(path)?.text)
    base.set(path, { text, isExecutable: false })
  }
  // As if these had been otherwise in the version that made the package.
  older('src/plugin.ts', 'a place to begin', 'a beginning')
  older('src/options.ts', '192.0.2.7/24', '192.0.2.8/24')
  older('biome.json', '110', '100')
  base.delete('.github/workflows/ci.yml')
  await writeFiles(dir, base, signal)

  const edit = (path: string, from: string, to: string) =>
    writeFileSync(join(dir, path), readFileSync(join(dir, path), 'utf8').replace(from, to))
  edit('src/plugin.ts', 'async status() {},', 'async status() { /* mine */ },')
  edit('src/options.ts', '192.0.2.8/24', '198.51.100.1/24')
  edit('package.json', '"description": "Mine."', '"description": "Mine, and better."')

  expect(await readOrigin(dir)).toEqual({ version: '0.1.0', answers })
  const updates = await update(dir, { answers, base, version: '0.2.0', dryRun: false, signal })
  const read = (path: string) => readFileSync(join(dir, path), 'utf8')
  expect(
    Object.fromEntries(updates.map(({ path, did, conflicts }) => [path, [did, conflicts.length]])),
  ).toEqual({
    'src/plugin.ts': ['merged', 0],
    'src/options.ts': ['merged', 1],
    'biome.json': ['merged', 0],
    '.github/workflows/ci.yml': ['added', 0],
    'package.json': ['merged', 0],
  })
  expect(read('src/plugin.ts')).toContain('a place to begin')
  expect(read('src/plugin.ts')).toContain('/* mine */')
  expect(read('src/options.ts')).toMatch(
    /<<<<<<< yours\n.*198\.51\.100\.1[\s\S]*=======\n.*192\.0\.2\.7[\s\S]*>>>>>>> template now/,
  )
  const manifest = JSON.parse(read('package.json'))
  expect(manifest.description).toBe('Mine, and better.')
  expect(manifest.peerDependencies).toEqual({ '@podwire/api': '^0.2.0' })
  expect((await readOrigin(dir)).version).toBe('0.2.0')
})

test('a dry run says what would change, and writes nothing', async () => {
  const base = instantiate(answers, '0.1.0')
  await writeFiles(dir, base, signal)
  const updates = await update(dir, { answers, base, version: '0.2.0', dryRun: true, signal })
  expect(updates.map(({ path }) => path)).toEqual(['package.json'])
  expect(readFileSync(join(dir, 'package.json'), 'utf8')).toBe(base.get('package.json')?.text)
})

test.each([
  ['deleted by its author', undefined, 'old', 'new', 'you have deleted it'],
  ['gone from the template', 'mine', 'old', undefined, 'no longer'],
])('a file %s is told of and left', (_, mine, base, theirs, told) => {
  const { text, conflicts } = mergeFile('file', mine, base, theirs)
  expect(text).toBeUndefined()
  expect(conflicts.join()).toContain(told)
})

test('a key of JSON that both changed keeps the author’s value, and is told', () => {
  const { text, conflicts } = mergeFile(
    'a.json',
    '{"a": 1, "b": {"c": 2}}',
    '{"a": 0, "b": {"c": 2}}',
    '{"a": 3, "b": {"c": 4}}',
  )
  expect(JSON.parse(text ?? '')).toEqual({ a: 1, b: { c: 4 } })
  expect(conflicts).toEqual(['a was changed by you and by the template: yours stays'])
})

test.each([
  ['not JSON', '{', 'it is not JSON'],
  ['of somebody else', '{"name": "x"}', 'has no "create-podwire-plugin" key'],
  ['with another version', '{"create-podwire-plugin": {"version": "--registry=x"}}', 'is not a version'],
])('a package.json that is %s is refused', async (_, text, problem) => {
  writeFileSync(join(dir, 'package.json'), text)
  await expect(readOrigin(dir)).rejects.toThrow(problem)
})
