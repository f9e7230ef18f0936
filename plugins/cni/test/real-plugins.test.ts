import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NetworkPlugin, Pod } from '@podwire/api'
import {
  type FakeHost,
  fakeHost,
  fakePod,
  ipJson,
  isIsolated,
  type TestNetns,
  useNetns,
} from '@podwire/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { binDir, startPlugin } from './start-plugin.ts'
import { beside, rateTowards, run, webServer } from './traffic.ts'

const can = isIsolated() && existsSync(join(binDir, 'bridge'))
if (!can) console.warn(`the cni plugin's real chains are skipped: they need ${binDir}/bridge and namespaces`)

const runSource = new URL('../../../.dev/run-source.mjs', import.meta.url).pathname
const onePod = new URL('one-pod.ts', import.meta.url).pathname

const signal = new AbortController().signal
const limit = (quantity: string) => ({ 'kubernetes.io/ingress-bandwidth': quantity })

// Each runs dozens of processes, which on a busy machine takes its time.
describe.runIf(can)('pods of real CNI plugins', { timeout: 180_000 }, () => {
  const namespaces = useNetns()
  const plugins: NetworkPlugin[] = []
  let directory: string
  let host: FakeHost
  let linksBefore: string[]

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'podwire-cni-real-'))
    host = fakeHost()
    for (const path of ['ipv4/ip_forward', 'ipv4/conf/all/route_localnet', 'ipv6/conf/all/forwarding']) {
      await writeFile(`/proc/sys/net/${path}`, '1')
    }
    await mkdir(join(directory, 'net.d'))
    await network('10-pods', [
      {
        type: 'bridge',
        bridge: 'cni0',
        isDefaultGateway: true,
        ipMasq: true,
        capabilities: { ipRanges: true, ips: true },
        ipam: { type: 'host-local', dataDir: join(directory, 'leases') },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
      { type: 'bandwidth', capabilities: { bandwidth: true } },
      { type: 'tuning', sysctl: { 'net.core.somaxconn': '500' } },
    ])
    linksBefore = await links()
  })
  afterEach(async () => {
    await Promise.all(plugins.splice(0).map((plugin) => plugin.close?.()))
    await namespaces.removeAll()
    for (const link of await links()) {
      if (!linksBefore.includes(link)) await run('ip', 'link', 'delete', link).catch(() => {})
    }
    await rm(directory, { recursive: true, force: true })
  })

  const links = async () => (await ipJson('link')).map(({ ifname }) => String(ifname))
  const network = (name: string, plugins: object[], more: object = {}) =>
    writeFile(
      join(directory, 'net.d', `${name}.conflist`),
      JSON.stringify({ cniVersion: '1.0.0', name: name.replace(/^\d+-/, ''), plugins, ...more }),
    )
  const linksOf = async (netns: TestNetns) =>
    (await netns.ip('link')).map(({ ifname, ifindex, flags }) => ({ ifname, ifindex, flags }))
  const leases = async () =>
    (await readdir(join(directory, 'leases', 'pods')).catch(() => [])).filter((name) =>
      /^[0-9a-f]+[.:]/.test(name),
    )

  const remembered = async () =>
    (await readdir(join(directory, 'cache/results')).catch(() => [])).filter((name) => name !== '.tmp')

  /** A new plugin, as after a restart. */
  async function start(): Promise<NetworkPlugin> {
    const plugin = await startPlugin(host, directory)
    plugins.push(plugin)
    return plugin
  }
  /** A pod in a namespace of its own. */
  async function sandbox(pod: Partial<Pod> = {}) {
    const netns = await namespaces.add()
    const made = fakePod({ sandboxId: netns.name, name: netns.name, netns: netns.path, ...pod })
    host.sandboxes.set(made.sandboxId, made.netns)
    return { netns, pod: made }
  }

  it('have both families, a published port and a limit, and leave nothing', async () => {
    const plugin = await start()
    await plugin.status()
    const { netns, pod } = await sandbox({
      annotations: limit('20M'),
      portMappings: [{ hostPort: 18_081, containerPort: 80, protocol: 'tcp' }],
    })
    const client = await sandbox()
    const status = await plugin.setUpPod(pod, signal)
    await plugin.setUpPod(client.pod, signal)
    expect(status?.ips).toEqual([expect.stringMatching(/^10\.77\.0\./), expect.stringMatching(/^fd77::/)])
    expect(await plugin.getPodNetworkStatus(pod, signal)).toEqual(status)
    expect(await netns.run('cat', '/proc/sys/net/core/somaxconn')).toBe('500\n')

    const print = '.then((page) => page.text()).then((text) => process.stdout.write(text))'
    const get = (url: string) => client.netns.run(process.execPath, '-e', `fetch('${url}')${print}`)
    await beside(netns, webServer('from the pod'), async () => {
      expect(await get(`http://${status?.ip}/`)).toBe('from the pod')
      expect(await get(`http://[${status?.ips?.[1]}]/`)).toBe('from the pod')
      expect(await get('http://10.77.0.1:18081/')).toBe('from the pod')
    })
    const rate = await rateTowards(netns, status?.ip ?? '', 30e6, 2e6)
    expect(rate / 20e6).toBeGreaterThan(0.85)
    expect(rate / 20e6).toBeLessThan(1.15)

    await plugin.tearDownPod(pod, signal)
    await plugin.tearDownPod(client.pod, signal)
    expect(await leases()).toEqual([])
    expect(await remembered()).toEqual([])
    expect((await netns.ip('link')).map(({ ifname }) => ifname)).toEqual(['lo'])
    expect((await links()).filter((link) => !linksBefore.includes(link))).toEqual(['cni0'])
    expect(await run('iptables', '-t', 'nat', '-S')).not.toContain('18081')
  })

  it('keep their addresses when a limit changes, and the new one holds', async () => {
    const plugin = await start()
    const { netns, pod } = await sandbox({ annotations: limit('10M') })
    const before = await plugin.setUpPod(pod, signal)
    const after = await plugin.setUpPod({ ...pod, bandwidth: { ingress: 40e6 } }, signal)
    expect(after?.ips).toEqual(before?.ips)
    const rate = await rateTowards(netns, after?.ip ?? '', 60e6, 4e6)
    expect(rate / 40e6).toBeGreaterThan(0.85)
    expect(rate / 40e6).toBeLessThan(1.15)
    await plugin.tearDownPod(pod, signal)
  })

  it('have a second network with the address that they ask for', async () => {
    await network('20-lan', [
      { type: 'macvlan', master: 'lan0', capabilities: { ips: true }, ipam: { type: 'static' } },
    ])
    await run('ip', 'link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'lan1')
    await run('ip', 'link', 'set', 'lan0', 'up')
    const plugin = await start()
    const networks = JSON.stringify([{ name: 'lan', ips: ['192.168.77.9/24'] }])
    const { netns, pod } = await sandbox({ annotations: { 'k8s.v1.cni.cncf.io/networks': networks } })
    const status = await plugin.setUpPod(pod, signal)
    expect(status?.interfaces).toMatchObject([
      { name: 'eth0', network: 'pods' },
      { name: 'net1', network: 'lan', ips: ['192.168.77.9'] },
    ])
    const [net1] = await netns.ip('-4', 'addr', 'show', 'dev', 'net1')
    expect(net1).toMatchObject({ addr_info: [{ local: '192.168.77.9', prefixlen: 24 }] })
    await plugin.tearDownPod(pod, signal)
    expect((await netns.ip('link')).map(({ ifname }) => ifname)).toEqual(['lo'])
  })

  it('leave nothing when a later network fails', async () => {
    await network('20-lan', [{ type: 'macvlan', master: 'absent0', ipam: { type: 'static' } }])
    const plugin = await start()
    const { netns, pod } = await sandbox({ annotations: { 'k8s.v1.cni.cncf.io/networks': 'lan' } })
    await expect(plugin.setUpPod(pod, signal)).rejects.toThrow(/type="macvlan" name="lan"/)
    expect(await leases()).toEqual([])
    // macvlan can't undo without its master, and what it could not undo stays known.
    await plugin.tearDownPod(pod, signal)
    expect(await remembered()).toEqual([])
    expect((await netns.ip('link')).map(({ ifname }) => ifname)).toEqual(['lo'])
    expect((await links()).filter((link) => !linksBefore.includes(link))).toEqual(['cni0'])
  })

  it.each(['up', 'down'])('find lo %s, as it was, when they are torn down', async (state) => {
    const plugin = await start()
    const { netns, pod } = await sandbox()
    await netns.run('ip', 'link', 'set', 'lo', state)
    const before = await linksOf(netns)
    await plugin.setUpPod(pod, signal)
    expect((await linksOf(netns))[0]).toMatchObject({ ifname: 'lo', flags: expect.arrayContaining(['UP']) })
    await plugin.tearDownPod(pod, signal)
    expect(await linksOf(netns)).toEqual(before)
  })

  it.each(['up', 'down'])('find lo %s, as it was, where a set-up is refused', async (state) => {
    const plugin = await start()
    const { netns, pod } = await sandbox()
    await netns.run('ip', 'link', 'set', 'lo', state)
    await netns.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far')
    const before = await linksOf(netns)
    await expect(plugin.setUpPod(pod, signal)).rejects.toThrow(
      /^interface eth0 is in .* already; nothing was changed/,
    )
    expect(await linksOf(netns)).toEqual(before)
    expect(await remembered()).toEqual([])
    await plugin.tearDownPod(pod, signal)
    expect(await linksOf(netns)).toEqual(before)
  })

  it.each(['up', 'down'])('find lo %s, as it was, where a set-up fails', async (state) => {
    await network('00-broken', [{ type: 'macvlan', master: 'absent0', ipam: { type: 'static' } }])
    const plugin = await start()
    const { netns, pod } = await sandbox()
    await netns.run('ip', 'link', 'set', 'lo', state)
    const before = await linksOf(netns)
    await expect(plugin.setUpPod(pod, signal)).rejects.toThrow(/type="macvlan"/)
    expect(await linksOf(netns)).toEqual(before)
  })

  it('are checked against the kernel', async () => {
    const ipam = { type: 'host-local', dataDir: join(directory, 'leases'), subnet: '10.78.0.0/24' }
    // Without bandwidth, whose CHECK of a pod without limits crashes at this version.
    await network('00-plain', [{ type: 'bridge', bridge: 'cni1', ipam }])
    const plugin = await start()
    const { netns, pod } = await sandbox()
    await plugin.setUpPod(pod, signal)
    await plugin.checkPod?.(pod, signal)
    await netns.run('ip', 'addr', 'flush', 'dev', 'eth0')
    await expect(plugin.checkPod?.(pod, signal)).rejects.toThrow(/type="bridge"/)
    await plugin.tearDownPod(pod, signal)
  })

  it.each([
    ['cniVersion', { cniVersion: '9.0.0' }, {}, /incompatible CNI versions/],
    ['subnet', {}, { subnet: '10.78.0.0/99' }, /invalid CIDR/],
  ])(
    'can be torn down after a set-up with a bad %s, once it is corrected',
    async (_, list, ipam, message) => {
      const bridge = (extra: object) => ({
        type: 'bridge',
        bridge: 'cni1',
        ipam: { type: 'host-local', dataDir: join(directory, 'leases'), subnet: '10.78.0.0/24', ...extra },
      })
      const portmap = { type: 'portmap', capabilities: { portMappings: true } }
      await network('00-bad', [bridge(ipam), portmap], list)
      const plugin = await start()
      const { netns, pod } = await sandbox({
        portMappings: [{ hostPort: 18_083, containerPort: 80, protocol: 'tcp' }],
      })
      await expect(plugin.setUpPod(pod, signal)).rejects.toThrow(message)
      if (Object.keys(ipam).length > 0) {
        await expect(plugin.tearDownPod(pod, signal)).rejects.toMatchObject({
          code: 'CNI_UNUSABLE_CONFIGURATION',
          message: expect.stringMatching(/Correct network "bad" in .*net\.d and tear the pod down again/),
        })
        await network('00-bad', [bridge({}), portmap])
      }
      const after = await start()
      await after.tearDownPod(pod, signal)
      expect(await remembered()).toEqual([])
      expect((await netns.ip('link')).map(({ ifname }) => ifname)).toEqual(['lo'])

      await network('00-bad', [bridge({}), portmap])
      const again = await start()
      expect((await again.setUpPod(pod, signal))?.ip).toMatch(/^10\.78\.0\./)
      await again.tearDownPod(pod, signal)
      expect(await remembered()).toEqual([])
    },
  )

  it('are set up after a set-up with a bad subnet, once it is corrected', async () => {
    const bridge = (subnet: string) => ({
      type: 'bridge',
      bridge: 'cni1',
      ipam: { type: 'host-local', dataDir: join(directory, 'leases'), subnet },
    })
    await network('00-bad', [bridge('10.78.0.0/99')])
    const { pod } = await sandbox()
    await expect((await start()).setUpPod(pod, signal)).rejects.toThrow('invalid CIDR')
    await network('00-bad', [bridge('10.78.0.0/24')])
    const plugin = await start()
    expect((await plugin.setUpPod(pod, signal))?.ip).toMatch(/^10\.78\.0\./)
    await plugin.tearDownPod(pod, signal)
  })

  it('give their addresses back after their namespaces and the process are gone', async () => {
    const before = await start()
    const down = await sandbox()
    const lost = await sandbox()
    await before.setUpPod(down.pod, signal)
    await before.setUpPod(lost.pod, signal)
    expect(await leases()).toHaveLength(4)
    await namespaces.removeAll()
    const after = await start()
    await after.tearDownPod(down.pod, signal)
    expect(await leases()).toHaveLength(2)
    await after.collectGarbage?.([], signal)
    expect(await leases()).toEqual([])
  })

  it('leave nothing of a process that was killed at any moment', async () => {
    const { netns } = await sandbox()
    const args = ['--import', runSource, onePod, directory, netns.path]
    for (let round = 0; round < 10; round++) {
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      await once(child.stdout, 'data')
      await sleep(Math.random() * 150)
      child.kill('SIGKILL')
      await once(child, 'close')
      await pluginsEnded()
      const plugin = await start()
      await plugin.collectGarbage?.([], signal)
      const context = `round ${round}`
      expect(await leases(), context).toEqual([])
      expect(
        (await netns.ip('link')).map(({ ifname }) => ifname),
        context,
      ).toEqual(['lo'])
      const left = (await links()).filter((link) => ![...linksBefore, 'cni0'].includes(link))
      expect(left, context).toEqual([])
      expect(await run('iptables', '-t', 'nat', '-S'), context).not.toContain('18082')
      expect(await remembered(), context).toEqual([])
      const pod = fakePod({ sandboxId: `after-${round}`, netns: netns.path })
      host.sandboxes.set(pod.sandboxId, pod.netns)
      await plugin.setUpPod(pod, signal)
      await plugin.tearDownPod(pod, signal)
    }
  }, 300_000)
})

/** A CNI plugin outlives the process that ran it by a moment. */
async function pluginsEnded(): Promise<void> {
  await vi.waitFor(async () => {
    const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
    const environments = await Promise.all(
      ids.map((id) => readFile(`/proc/${id}/environ`, 'utf8').catch(() => '')),
    )
    expect(environments.filter((environment) => environment.includes('CNI_CONTAINERID=killed-'))).toEqual([])
  }, 10_000)
}
