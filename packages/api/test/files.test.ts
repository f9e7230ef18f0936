import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { readFileIfThere, sweepTemporaryFiles, writeFileWhole } from '../src/files.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'podwire-files-'))
})

test('a file is replaced whole, for its owner only, its directory made', () => {
  const file = join(dir, 'a', 'b.json')
  writeFileWhole(file, 'one')
  writeFileWhole(file, 'two')
  expect(readFileIfThere(file)).toBe('two')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(statSync(join(dir, 'a')).mode & 0o777).toBe(0o700)
  expect(readdirSync(join(dir, 'a'))).toEqual(['b.json'])
})

test('a link in the place of a file is replaced, and what it leads to is neither read nor written', () => {
  const victim = join(dir, 'victim')
  const file = join(dir, 'record')
  writeFileSync(victim, 'precious')
  symlinkSync(victim, file)
  expect(() => readFileIfThere(file)).toThrow(expect.objectContaining({ code: 'ELOOP' }))
  writeFileWhole(file, 'new')
  expect(readFileSync(victim, 'utf8')).toBe('precious')
  expect(readFileIfThere(file)).toBe('new')
})

test('what is not a file is refused at once: a directory, a pipe, one that is too large', () => {
  mkdirSync(join(dir, 'sub'))
  spawnSync('mkfifo', [join(dir, 'pipe')])
  writeFileSync(join(dir, 'large'), 'x'.repeat(11))
  expect(() => readFileIfThere(join(dir, 'sub'))).toThrow(expect.objectContaining({ code: 'ERR_NOT_A_FILE' }))
  expect(() => readFileIfThere(join(dir, 'pipe'))).toThrow(
    expect.objectContaining({ code: 'ERR_NOT_A_FILE' }),
  )
  expect(() => readFileIfThere(join(dir, 'large'), 10)).toThrow(
    expect.objectContaining({ code: 'ERR_FILE_TOO_LARGE' }),
  )
  expect(readFileIfThere(join(dir, 'absent'))).toBeUndefined()
  expect(readFileIfThere(join(dir, 'n'.repeat(300)))).toBeUndefined()
})

test('a failed write leaves no temporary file', () => {
  mkdirSync(join(dir, 'taken', 'x'), { recursive: true })
  expect(() => writeFileWhole(join(dir, 'taken'), 'text')).toThrow()
  expect(readdirSync(dir)).toEqual(['taken'])
})

test('what a killed writer left is swept away, and what a living one writes is not', () => {
  const { pid } = spawnSync('true')
  writeFileSync(join(dir, `.${pid}.00000000.tmp`), '')
  writeFileSync(join(dir, `.${process.pid}.00000000.tmp`), '')
  sweepTemporaryFiles(dir)
  expect(readdirSync(dir)).toEqual([`.${process.pid}.00000000.tmp`])
})
