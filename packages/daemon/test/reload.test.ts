import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { startTestDaemon, until } from './daemon.ts'

/** A plugin that says what options it was started with, and when it was closed. */
const telling = `
  setUpPod: async function () { return { ip: this.options?.ip ?? '192.0.2.1' } },
  close: async function () { globalThis.closed = [...(globalThis.closed ?? []), this.options?.ip] },`

describe.skipIf(!isIsolated())('a daemon whose configuration changes', () => {
  test('applies it whole: new pods by the new options, old pods as they were', async () => {
    const { ask, daemon, configure, log } = await startTestDaemon(telling)
    const old = await ask('PUT', '/v1/pods/default/old', {})
    configure({ plugins: { odd: { ip: '192.0.2.2' } }, deadlines: { setUpPod: '9s' } })
    await daemon.reload()
    const young = await ask('PUT', '/v1/pods/default/young', {})
    expect(young.body).toMatchObject({
      status: { ip: '192.0.2.2' },
      pluginStart: { options: { ip: '192.0.2.2' } },
    })
    expect((await ask('GET', '/v1/pods/default/old')).body).toEqual(old.body)
    expect((await ask('DELETE', '/v1/pods/default/old')).status).toBe(200)
    const { text } = await ask('GET', '/v1/events?from=start&until=now')
    expect(text).toContain('event: configuration:changed')
    expect(text).toContain('"changed":["plugins.odd","deadlines.setUpPod"]')
    expect(log.entries.some(({ message }) => message.startsWith('configuration:changed'))).toBe(true)
    // The host before is closed, and one that nobody needs is not kept.
    await until(() => (globalThis as { closed?: unknown[] }).closed?.length === 1)
  })

  test('takes none up any more once it stops, and leaves no plugin behind that it began with', async () => {
    const world = globalThis as { begun?: number[]; ended?: number[]; goOn?: Promise<void> }
    world.begun = []
    world.ended = []
    const counting = `
      init: async function () { this.n = globalThis.begun.push(0); await globalThis.goOn },
      close: async function () { globalThis.ended.push(this.n) },`
    const { daemon, configure } = await startTestDaemon(counting)
    let goOn = () => {}
    world.goOn = new Promise((resolve) => {
      goOn = resolve
    })
    configure({ mtu: 1400 })
    const reloading = daemon.reload()
    await until(() => world.begun?.length === 2)
    const stopping = daemon.stop(0)
    goOn()
    await Promise.all([reloading, stopping])
    expect(world.ended.sort()).toEqual([1, 2])
    configure({ mtu: 1300 })
    await daemon.reload()
    expect(world.begun).toHaveLength(2)
  })

  test('applies it when the file is written, without being told', async () => {
    const { ask, configure } = await startTestDaemon(telling)
    configure({ plugins: { odd: { ip: '192.0.2.3' } } })
    await until(async () => (await ask('GET', '/v1/plugin')).body.start.options?.ip === '192.0.2.3')
  })

  test.each([
    ['a wrong key', { networkPlugins: 'odd' }, 'networkPlugins'],
    ['options of no package', { plugins: { none: {} } }, 'no plugin package of this name'],
    ['a plugin that is not there', { networkPlugin: 'none' }, '"none" not found'],
    ['another state directory', { stateDir: './other' }, 'names another state directory'],
  ])('refuses %s whole, and goes on by the old one', async (_what, config, text) => {
    const { ask, daemon, configure, log } = await startTestDaemon(telling, {
      plugins: { odd: { ip: '192.0.2.4' } },
    })
    configure(config)
    await daemon.reload()
    expect(log.entries.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
      expect.stringMatching(new RegExp(`configuration is refused.*${text}`)),
    ])
    expect((await ask('PUT', '/v1/pods/default/web', {})).body.status.ip).toBe('192.0.2.4')
    expect((await ask('GET', '/v1/events?from=start&until=now')).text).toContain(
      'event: configuration:refused',
    )
  })

  test('refuses one whose plugin does not start', async () => {
    const { ask, daemon, configure, dir } = await startTestDaemon(telling)
    const broken = join(dir, 'node_modules/podwire-plugin-broken')
    const { mkdirSync } = await import('node:fs')
    mkdirSync(broken)
    const manifest = {
      name: 'podwire-plugin-broken',
      version: '1.0.0',
      type: 'module',
      exports: './index.js',
    }
    writeFileSync(join(broken, 'package.json'), JSON.stringify({ ...manifest, podwire: { apiVersion: 1 } }))
    writeFileSync(
      join(broken, 'index.js'),
      `export default { apiVersion: 1, probe: () => [{ name: 'broken', init: async () => { throw new Error('no') }, event() {}, capabilities: () => 0, setUpPod: async () => {}, tearDownPod: async () => {}, getPodNetworkStatus: async () => undefined, status: async () => {} }] }`,
    )
    configure({ networkPlugin: 'broken' })
    await daemon.reload()
    expect((await ask('GET', '/v1/daemon')).body.networkPlugin).toBe('odd')
    expect((await ask('PUT', '/v1/pods/default/web', {})).status).toBe(200)
  })
})
