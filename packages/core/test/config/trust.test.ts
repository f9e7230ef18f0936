import { chmodSync, chownSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { hasMachineUsers, OVERFLOW_UID } from '@podwire/api/files'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { createNetworkHost } from '../../src/index.ts'
import { offering, workspace } from '../workspace.ts'

const isRoot = process.geteuid?.() === 0 && hasMachineUsers()
const somebody = 12345

describe.skipIf(!isRoot)('as root', () => {
  test("a configuration of another user's is refused with owner, mode, path and the way out", async () => {
    const { dir, write } = await workspace()
    const file = await write('podwire.config.json', {})
    await loadConfig({ cwd: dir, env: {} })
    chownSync(file, somebody, 0)
    await expect(loadConfig({ cwd: dir, env: {} })).rejects.toMatchObject({
      code: 'UNTRUSTED',
      exitCode: 2,
      message: expect.stringMatching(
        new RegExp(`${file} belongs to user ${somebody} with mode 0644.*--trust ${file}`),
      ),
    })
    expect((await loadConfig({ cwd: dir, env: {}, trust: [dir] })).file).toBe(file)
  })

  test('so is one that others may write, or replace in a directory that others may write', async () => {
    const { dir, write } = await workspace()
    const file = await write('a/podwire.config.json', {})
    const load = () => loadConfig({ cwd: join(dir, 'a'), env: {} })
    chmodSync(file, 0o666)
    await expect(load()).rejects.toMatchObject({ code: 'UNTRUSTED' })
    chmodSync(file, 0o644)
    chmodSync(join(dir, 'a'), 0o777)
    await expect(load()).rejects.toMatchObject({ details: { at: join(dir, 'a') } })
    chmodSync(join(dir, 'a'), 0o755)
    await load()
  })

  test('a link that leads to one is no way round', async () => {
    const { dir, write } = await workspace()
    const file = await write('theirs/evil.json', {})
    chownSync(file, somebody, 0)
    mkdirSync(join(dir, 'mine'))
    symlinkSync(file, join(dir, 'mine/podwire.config.json'))
    await expect(loadConfig({ cwd: join(dir, 'mine'), env: {} })).rejects.toMatchObject({ code: 'UNTRUSTED' })
  })

  test("code of a plugin package of another user's never runs", async () => {
    const { dir, plugin } = await workspace()
    const path = await plugin('podwire-plugin-x', { code: `globalThis.ran = true\n${offering('x')}` })
    chownSync(path, somebody, 0)
    const options = { cwd: dir, stateDir: join(dir, 'state'), config: { networkPlugin: 'x' } }
    await expect(createNetworkHost(options)).rejects.toMatchObject({ code: 'UNTRUSTED' })
    expect('ran' in globalThis).toBe(false)
    await (await createNetworkHost({ ...options, trust: [path] })).close()
    expect('ran' in globalThis).toBe(true)
  })

  test("a state directory that is somebody else's, or open to others, is refused", async () => {
    const { dir } = await workspace()
    const stateDir = join(dir, 'state')
    mkdirSync(stateDir)
    chmodSync(stateDir, 0o777)
    const start = () => createNetworkHost({ cwd: dir, stateDir, config: {}, start: false })
    await expect(start()).rejects.toMatchObject({ code: 'STATE_UNSAFE', exitCode: 2 })
    chmodSync(stateDir, 0o700)
    await (await start()).close()
    chownSync(stateDir, somebody, 0)
    await expect(start()).rejects.toMatchObject({
      message: expect.stringContaining(`${stateDir} belongs to user ${somebody}`),
    })
    chownSync(stateDir, 0, 0)
    // The second is how a user namespace shows whom it doesn't know; outside of one it is a user like any other.
    for (const uid of [somebody, OVERFLOW_UID]) {
      chownSync(dir, uid, 0)
      await expect(start()).rejects.toMatchObject({ code: 'STATE_UNSAFE' })
    }
  })
})

test('what is not a file is refused at once', async () => {
  const { dir } = await workspace()
  mkdirSync(join(dir, 'podwire.config.json'))
  await expect(loadConfig({ cwd: dir, env: {} })).rejects.toMatchObject({ code: 'CONFIG_UNREADABLE' })
  await expect(loadConfig({ file: '/dev/zero' })).rejects.toMatchObject({ exitCode: 2 })
})
