import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, it } from 'vitest'
import { defaultCacheDir } from '../src/cache-dir.ts'

describe('where attachments are remembered', () => {
  it('is the state directory where that stays', async () => {
    const stateDir = await mkdtemp(join(tmpdir(), 'podwire-state-'))
    expect(await defaultCacheDir(stateDir)).toBe(stateDir)
    await rm(stateDir, { recursive: true })
  })

  it.runIf(isIsolated() && process.getuid?.() === 0)(
    'outlives a reboot where the state directory does not, unless it can not be written',
    async () => {
      const name = `podwire-test-${randomBytes(5).toString('hex')}`
      try {
        expect(await defaultCacheDir(`/run/${name}/cni`)).toBe(`/var/lib/${name}/cni`)
        expect((await stat(`/var/lib/${name}/cni`)).mode & 0o777).toBe(0o700)
        await rm(`/var/lib/${name}`, { recursive: true })
        await writeFile(`/var/lib/${name}`, '')
        expect(await defaultCacheDir(`/run/${name}/cni`)).toBe(`/run/${name}/cni`)
      } finally {
        await rm(`/var/lib/${name}`, { recursive: true, force: true })
      }
    },
  )
})
