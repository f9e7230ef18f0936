import { rename } from 'node:fs/promises'
import { describe, expect, it, vi } from 'vitest'
import { useScriptedCni } from './scripted-cni.ts'

const cni = useScriptedCni()
const signal = new AbortController().signal

describe('the first network', () => {
  it('is the first valid file as they sort, and a bad one is named and skipped', async () => {
    await cni.write('net.d/00-broken.conflist', '{"name": "broken"')
    await cni.write('net.d/05-single.conf', { cniVersion: '0.3.1', name: 'single', type: 'first' })
    await cni.network('10-list.conflist', 'list', [{ type: 'second' }])
    const plugin = await cni.plugin()
    await plugin.setUpPod(cni.pod(), signal)
    expect(await cni.takeCalls()).toEqual(['ADD first eth0'])
    // Not before it has had the time to be written whole.
    await vi.waitFor(() => expect(cni.log.messages('warn').join()).toContain('00-broken.conflist'), 5000)
  })

  it('is the one that the options name', async () => {
    await cni.network('10-a.conflist', 'a', [{ type: 'first' }])
    await cni.network('20-b.conflist', 'b', [{ type: 'second' }])
    const plugin = await cni.plugin({ network: 'b' })
    await plugin.setUpPod(cni.pod(), signal)
    expect(await cni.takeCalls()).toEqual(['ADD second eth0'])
  })

  it('switches for new pods when another file sorts before it, and says so', async () => {
    await cni.network('10-a.conflist', 'a', [{ type: 'first' }])
    const plugin = await cni.plugin()
    await plugin.setUpPod(cni.pod({ sandboxId: 'old' }), signal)
    await cni.network('00-b.conflist', 'b', [{ type: 'second', capabilities: { bandwidth: true } }])
    await vi.waitFor(() => expect(cni.host.reports).toHaveLength(1), 5000)
    expect(cni.host.reports[0]).toEqual({
      event: 'network-switched',
      details: { from: 'a', to: 'b', file: cni.file('net.d/00-b.conflist') },
    })
    await cni.takeCalls()
    await plugin.setUpPod(cni.pod({ sandboxId: 'new' }), signal)
    expect(await cni.takeCalls()).toEqual(['ADD second eth0'])
    await plugin.setUpPod(cni.pod({ sandboxId: 'old' }), signal)
    expect(await cni.takeCalls(), 'a pod keeps its network').toEqual([])
  })

  it('stays while the directory holds none, or a broken one', async () => {
    await cni.network('10-a.conflist', 'a', [{ type: 'first' }])
    const plugin = await cni.plugin()
    await cni.write('net.d/10-a.conflist', '{')
    await vi.waitFor(() => expect(cni.log.messages('warn').join()).toContain('10-a.conflist'), 5000)
    await plugin.setUpPod(cni.pod({ sandboxId: 's1' }), signal)
    await cni.remove('net.d/10-a.conflist')
    await vi.waitFor(() => expect(cni.log.messages('warn').join()).toContain('is kept'), 5000)
    await plugin.setUpPod(cni.pod({ sandboxId: 's2' }), signal)
    expect((await cni.takeCalls()).filter((call) => call.startsWith('ADD first'))).toHaveLength(2)
    await plugin.status()
  })
})

describe('status', () => {
  it('says that there is no network, where it looked and what it skipped, until there is one', async () => {
    await cni.write('net.d/10-broken.conflist', '{"name":"x","plugins":[]}')
    const plugin = await cni.plugin()
    const reason = /^cni config uninitialized: .*net\.d.*10-broken\.conflist/
    await vi.waitFor(() => expect(plugin.status()).rejects.toThrow(reason), 5000)
    await expect(plugin.setUpPod(cni.pod(), signal)).rejects.toThrow('cni config uninitialized')
    // As installers do it: written elsewhere, moved into place.
    await cni.write('net.d/tmp', { cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'first' }] })
    await rename(cni.file('net.d/tmp'), cni.file('net.d/20-net.conflist'))
    await vi.waitFor(() => plugin.status(), 5000)
    await plugin.setUpPod(cni.pod(), signal)
  })

  it('waits for a directory that is not there yet', async () => {
    await cni.remove('net.d')
    const plugin = await cni.plugin()
    await expect(plugin.status()).rejects.toThrow('cni config uninitialized')
    await cni.network('10-net.conflist', 'net', [{ type: 'first' }])
    await vi.waitFor(() => plugin.status(), 5000)
  })

  it('names a plugin that is missing', async () => {
    await cni.network('10-net.conflist', 'net', [{ type: 'first' }, { type: 'nowhere' }])
    const plugin = await cni.plugin()
    await expect(plugin.status()).rejects.toThrow(/failed to find plugin "nowhere"/)
  })

  it('asks the plugins of a network that is new enough', async () => {
    await cni.network('10-net.conflist', 'net', [{ type: 'first' }], { cniVersion: '1.1.0' })
    await cni.fail('first', 'STATUS', 'no controller', 50)
    const plugin = await cni.plugin()
    await expect(plugin.status()).rejects.toMatchObject({ cniCode: 50 })
  })
})

it('finds plugins in the directories of vendors', async () => {
  await cni.script('acme', 'vendor/opt/acme/bin')
  await cni.network('10-net.conflist', 'net', [{ type: 'acme' }])
  const plugin = await cni.plugin()
  await plugin.status()
  await plugin.setUpPod(cni.pod(), signal)
  expect(await cni.takeCalls()).toEqual(['ADD acme eth0'])
})

it.each([
  [{ confDirs: 'x' }, /unknown key confDirs: expected one of confDir/],
  [{ binDirs: [] }, /expected a directory/],
  [{ binDirs: '/opt' }, /expected a list of directories/],
  [{ dns: { servers: [7] } }, /expected a string/],
])('refuses the options %j', async (options, message) => {
  await expect(cni.plugin(options)).rejects.toThrow(message)
})
