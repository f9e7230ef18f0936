import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSandboxStore } from '@podwire/core'
import { isIsolated, recordingLogger } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { groupId, startDaemon } from '../src/index.ts'
import { configured, startTestDaemon, until } from './daemon.ts'

const web = '/v1/pods/default/web'
/** A plugin that finishes a set-up when a file appears. */
const waiting = (file: string) => `
  setUpPod: async (pod, signal) => {
    const { existsSync } = await import('node:fs')
    while (!existsSync(${JSON.stringify(file)})) {
      signal.throwIfAborted()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return { ip: '192.0.2.9' }
  },`

describe.skipIf(!isIsolated())('a daemon', () => {
  test('listens for its own user alone, or for a group besides', async () => {
    const alone = await startTestDaemon()
    expect(statSync(alone.daemon.socket).mode & 0o777).toBe(0o600)
    const shared = await startTestDaemon('', {}, { gid: 0 })
    expect(statSync(shared.daemon.socket).mode & 0o777).toBe(0o660)
    expect(statSync(shared.stateDir).mode & 0o777).toBe(0o710)
    expect(() => groupId('no-such-group')).toThrow('no-such-group')
    expect(groupId('root')).toBe(0)
  })

  test('is the only one of its state directory, and says who it is', async () => {
    const { load, daemon, stateDir } = await startTestDaemon()
    const second = startDaemon({ load, log: recordingLogger(), version: '0.0.0', env: {} })
    await expect(second).rejects.toMatchObject({
      code: 'STATE_LOCKED',
      message: expect.stringContaining(`process ${process.pid}`),
    })
    expect(existsSync(daemon.socket)).toBe(true)
    await daemon.stop()
    const third = await startDaemon({ load, log: recordingLogger(), version: '0.0.0', env: {} })
    await third.stop()
    expect(existsSync(join(stateDir, 'podwire.sock'))).toBe(false)
  })

  test('takes the place of a socket that is left of one that was killed', async () => {
    const { load, stateDir, daemon } = await startTestDaemon()
    await daemon.stop()
    writeFileSync(join(stateDir, 'podwire.sock'), '')
    const next = await startDaemon({ load, log: recordingLogger(), version: '0.0.0', env: {} })
    expect(statSync(next.socket).isSocket()).toBe(true)
    await next.stop()
  })

  test('refuses a state directory that others may write to, and leaves no lock', async () => {
    const { stateDir, daemon, load } = await startTestDaemon()
    await daemon.stop()
    chmodSync(stateDir, 0o777)
    await expect(startDaemon({ load, log: recordingLogger(), version: '', env: {} })).rejects.toMatchObject({
      code: 'STATE_UNSAFE',
    })
  })

  test('refuses a path that no socket can have', async () => {
    const { load, dir } = configured()
    const config = await load()
    const long = { ...config, config: { ...config.config, stateDir: join(dir, 'x'.repeat(100)) } }
    await expect(
      startDaemon({ load: async () => long, log: recordingLogger(), version: '', env: {} }),
    ).rejects.toMatchObject({ code: 'SOCKET_PATH_TOO_LONG' })
  })

  test('puts right at its start what was left half done', async () => {
    const { stateDir, daemon, load, ask } = await startTestDaemon()
    const { body: record } = await ask('PUT', web, {})
    await daemon.stop()
    createSandboxStore(stateDir).write({ ...record, phase: 'setting-up' })
    const log = recordingLogger()
    const next = await startDaemon({ load, log, version: '', env: {} })
    await next.stop()
    expect(log.entries.map(({ message }) => message)).toContain('sandbox:recovered default/web')
    expect(readdirSync(join(stateDir, 'sandboxes'))).toEqual([])
  })

  test('stops when what runs is done, and takes nothing new meanwhile', async () => {
    const { dir } = configured()
    const file = join(dir, 'go-on')
    const { ask, daemon, stateDir } = await startTestDaemon(waiting(file))
    const up = ask('PUT', web, {})
    await until(async () => (await ask('GET', web)).status === 200)
    const stopped = daemon.stop()
    const refused = await ask('PUT', '/v1/pods/default/other', {})
    expect(refused).toMatchObject({ status: 503, body: { error: { code: 'DAEMON_STOPPING' } } })
    expect(await ask('GET', '/readyz')).toMatchObject({
      status: 503,
      text: expect.stringContaining('stopping'),
    })
    writeFileSync(file, '')
    expect(await up).toMatchObject({ status: 200, body: { phase: 'ready' } })
    await stopped
    expect(existsSync(daemon.socket)).toBe(false)
    expect(createSandboxStore(stateDir).list().records).toMatchObject([{ phase: 'ready' }])
  })

  test('aborts what still runs at its deadline, and that is undone', async () => {
    const { ask, daemon, stateDir } = await startTestDaemon(waiting('/nowhere'))
    const up = ask('PUT', web, {})
    await until(async () => (await ask('GET', web)).status === 200)
    await daemon.stop(50)
    expect((await up).body.error.cause).toMatchObject({ code: 'DAEMON_STOPPING' })
    expect(readdirSync(join(stateDir, 'sandboxes'))).toEqual([])
    expect(readdirSync('/run/netns')).toEqual([])
  })
})
