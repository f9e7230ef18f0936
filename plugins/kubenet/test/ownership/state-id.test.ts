import { mkdtempSync, readFileSync, rmSync, watch } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isTemporaryFile } from '@podwire/api/files'
import { expect, it, onTestFinished } from 'vitest'
import { openStateId } from '../../src/ownership/state-id.ts'

it('a state directory has one id, whoever is first to write it down, and a kill leaves nothing that is not swept', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'state-id-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const seen = new Set<string>()
  const watcher = watch(dir, (_, name) => seen.add(name ?? ''))
  onTestFinished(() => watcher.close())
  const [first, second] = [openStateId(dir), openStateId(dir)]
  expect(first.get()).not.toBe(second.get())
  const id = first.get()
  for (const one of [first, second]) one.keep()
  expect([first.get(), second.get(), openStateId(dir).get()]).toEqual([id, id, id])
  expect(readFileSync(join(dir, 'id'), 'utf8')).toBe(id)
  await expect.poll(() => [...seen]).toContain('id')
  expect([...seen].filter((name) => name !== 'id' && !isTemporaryFile(name))).toEqual([])
  expect(seen.size).toBeGreaterThan(1)
})
