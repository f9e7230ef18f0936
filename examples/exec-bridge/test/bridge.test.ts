import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NET_PLUGIN_EVENT_POD_CIDR_CHANGE } from '@podwire/api'
import { execNetworkPlugin } from '@podwire/plugin-exec'
import {
  fakeHost,
  fakePod,
  ipJson,
  isIsolated,
  recordingLogger,
  type TestNetns,
  useNetns,
} from '@podwire/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

const executable = new URL('../plugins/example.com~bridge/bridge', import.meta.url).pathname
const options = { hairpinMode: 'none', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 } as const
const signal = AbortSignal.timeout(60_000)

// A port where nobody listens: only a neighbour that got the packet refuses it.
const knock = (from: TestNetns | undefined, ip: string | undefined) =>
  from?.run(
    process.execPath,
    '-e',
    `require('net').connect(9, '${ip}').on('error', ({ code }) => console.log(code))`,
  )

describe.runIf(isIsolated())('the bridge script', () => {
  const netns = useNetns()
  let stateDir: string
  let leases: string

  // A bridge and leases of its own, apart from those of the other test's host.
  beforeEach(async () => {
    stateDir = await mkdtemp(join(tmpdir(), 'podwire-bridge-'))
    leases = join(stateDir, 'leases')
    vi.stubEnv('BRIDGE_NAME', 'brtest0')
    vi.stubEnv('BRIDGE_STATE_DIR', leases)
  })
  afterEach(async () => {
    vi.unstubAllEnvs()
    await netns.removeAll()
    await rm(stateDir, { recursive: true })
  })

  async function start(podCIDR: string, ...sandboxIds: string[]) {
    const namespaces = await Promise.all(sandboxIds.map(() => netns.add()))
    const pods = sandboxIds.map((sandboxId, index) =>
      fakePod({ name: sandboxId, sandboxId, netns: namespaces[index]?.path ?? '' }),
    )
    const host = fakeHost({ pods })
    const podOf = (id: string) => pods.find(({ sandboxId }) => sandboxId === id) ?? fakePod()
    const log = recordingLogger()
    const plugin = execNetworkPlugin({ name: 'example.com/bridge', executable, capabilities: 0, log })
    await plugin.init(host, options)
    await plugin.event(NET_PLUGIN_EVENT_POD_CIDR_CHANGE, { 'pod-cidr': podCIDR })
    return {
      host,
      plugin,
      namespaces,
      setUp: (id: string) => plugin.setUpPod(podOf(id), signal),
      tearDown: (id: string) => plugin.tearDownPod(podOf(id), signal),
      ip: async (id: string) => (await plugin.getPodNetworkStatus(podOf(id), signal))?.ip,
    }
  }

  // Other tests make links in this world at the same time, so it looks for its own: a veth has two ends.
  async function expectNoTrace(...namespaces: TestNetns[]) {
    expect(existsSync(leases)).toBe(false)
    expect((await ipJson('link')).filter(({ ifname }) => ifname === 'brtest0')).toEqual([])
    for (const { ip } of namespaces) expect(await ip('link', 'show', 'type', 'veth')).toEqual([])
  }

  test('lets two pods reach each other, and leaves no link and no lease', async () => {
    const { setUp, tearDown, ip, namespaces } = await start('10.99.0.0/24', 'a', 'b')
    await Promise.all([setUp('a'), setUp('b')])
    const [a, b] = [await ip('a'), await ip('b')]
    expect([a, b].sort()).toEqual(['10.99.0.2', '10.99.0.3'])
    expect(await knock(namespaces[0], b)).toBe('ECONNREFUSED\n')
    expect(await knock(namespaces[1], a)).toBe('ECONNREFUSED\n')
    expect(await namespaces[0]?.ip('route', 'show', 'default')).toMatchObject([{ gateway: '10.99.0.1' }])
    await Promise.all([tearDown('a'), tearDown('b')])
    expect(await ip('a')).toBeUndefined()
    await expectNoTrace(...namespaces)
  })

  test('set up twice is the same as once, and so is torn down', async () => {
    const { setUp, tearDown, ip, namespaces } = await start('10.99.0.0/24', 'a')
    const addresses = () => namespaces[0]?.ip('-4', 'addr', 'show', 'dev', 'eth0')
    await setUp('a')
    const before = [await ip('a'), await addresses()]
    await setUp('a')
    expect([await ip('a'), await addresses()]).toEqual(before)
    await tearDown('a')
    await tearDown('a')
    await expectNoTrace(...namespaces)
  })

  test('frees the address of a pod whose namespace is gone', async () => {
    const { host, setUp, tearDown } = await start('10.99.0.0/24', 'a')
    await setUp('a')
    await netns.removeAll()
    host.sandboxes.clear()
    await tearDown('a')
    await expectNoTrace()
  })

  test.each([
    ['10.99.1.0/30', '10.99.1.1', '10.99.1.2'],
    ['10.99.1.37/28', '10.99.1.33', '10.99.1.34'],
    ['172.31.255.0/20', '172.31.240.1', '172.31.240.2'],
    ['192.168.0.0/16', '192.168.0.1', '192.168.0.2'],
  ])('takes gateway and address from %s', async (podCIDR, gateway, address) => {
    const { setUp, tearDown, ip, namespaces } = await start(podCIDR, 'a')
    await setUp('a')
    expect(await ip('a')).toBe(address)
    expect(await namespaces[0]?.ip('route', 'show', 'default')).toMatchObject([{ gateway }])
    await tearDown('a')
  })

  test('says when no address is left, and gives a freed one to the next', async () => {
    const { setUp, tearDown, ip, namespaces } = await start('10.99.1.0/30', 'a', 'b')
    await setUp('a')
    await expect(setUp('b')).rejects.toThrow('bridge: no address is left in 10.99.1.0/30')
    expect(readdirSync(leases)).toHaveLength(1)
    await tearDown('a')
    await setUp('b')
    expect(await ip('b')).toBe('10.99.1.2')
    await tearDown('b')
    await expectNoTrace(...namespaces)
  })

  test('leaves nothing behind when it fails half way', async () => {
    const { setUp, namespaces } = await start('10.99.0.0/24', 'a')
    await namespaces[0]?.run('ip', 'link', 'add', 'eth0', 'type', 'bridge')
    await expect(setUp('a')).rejects.toThrow(/File exists/)
    await expectNoTrace(...namespaces)
  })

  test.each([
    ['', "PODWIRE_POD_CIDR is '': set podCIDR"],
    ['fd00::/64', 'IPv4 only'],
    ['10.99.1.0/31', 'use /30 or larger'],
  ])('refuses the pod CIDR "%s" and says what to do', async (podCIDR, message) => {
    const { setUp, namespaces } = await start(podCIDR, 'a')
    await expect(setUp('a')).rejects.toThrow(message)
    await expectNoTrace(...namespaces)
  })
})
