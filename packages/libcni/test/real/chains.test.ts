import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Attachment,
  createCni,
  findInterface,
  type JsonObject,
  parseNetworkConfigList,
  type Result100,
} from '@podwire/libcni'
import { ipJson, isIsolated, type TestNetns, useNetns } from '@podwire/testing'
import { build } from 'esbuild'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { beside, run, senderSeen, transfer } from './traffic.ts'

const plugins = '/usr/lib/cni'
const can = isIsolated() && existsSync(join(plugins, 'bridge'))
if (!can)
  console.warn(`chains of real plugins are skipped: they need ${plugins}/bridge and namespaces of their own`)

describe.runIf(can)('real plugins', () => {
  const namespaces = useNetns()
  let directory: string
  let netns: TestNetns
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'podwire-chains-'))
    netns = await namespaces.add()
    for (const path of ['ipv4/ip_forward', 'ipv4/conf/all/route_localnet', 'ipv6/conf/all/forwarding'])
      await run('sh', ['-c', `echo 1 > /proc/sys/net/${path}`])
  })
  afterEach(async () => {
    await namespaces.removeAll()
    await rm(directory, { recursive: true, force: true })
  })

  const cni = () => createCni({ pluginDirectories: [plugins], cacheDirectory: join(directory, 'cache') })
  const network = (name: string, ...chain: JsonObject[]) =>
    parseNetworkConfigList(JSON.stringify({ name, cniVersion: '1.0.0', plugins: chain }))
  const hostLocal = (...subnets: string[]): JsonObject => ({
    type: 'host-local',
    dataDir: join(directory, 'ipam'),
    ranges: subnets.map((subnet) => [{ subnet }]),
    routes: subnets.map((subnet) => ({ dst: subnet.includes(':') ? '::/0' : '0.0.0.0/0' })),
  })
  const attach = (more: Partial<Attachment> = {}): Attachment => ({
    containerId: 'pod1',
    ifName: 'eth0',
    netns: netns.path,
    ...more,
  })
  // Plugins find these programs alone.
  async function withPrograms(names: readonly string[], use: () => Promise<void>) {
    const { PATH } = process.env
    const bin = join(directory, 'bin')
    await mkdir(bin)
    for (const name of names) await symlink(`/usr/sbin/${name}`, join(bin, name))
    process.env.PATH = bin
    try {
      await use()
    } finally {
      process.env.PATH = PATH
    }
  }
  const addressOf = (result: unknown, index = 0) => (result as Result100).ips![index]!.address.split('/')[0]!
  const links = async () => (await ipJson('link')).map(({ ifname }) => String(ifname))
  const leased = async (name: string) =>
    (await readdir(join(directory, 'ipam', name)).catch(() => [])).filter((file) =>
      /^[0-9a-f]+[.:]/.test(file),
    )

  it('bridge, host-local and portmap: an HTTP request through the host port', async () => {
    const chain = network(
      'web',
      {
        type: 'bridge',
        bridge: 'cni-web',
        isGateway: true,
        ipMasq: true,
        ipam: hostLocal('10.70.0.0/24'),
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    )
    const portMappings = [{ hostPort: 18080, containerPort: 80, protocol: 'tcp' }]
    const pod = attach({ capabilityArgs: { portMappings } })
    expect(await cni().validate(chain)).toEqual(['portMappings'])
    const result = await cni().add(chain, pod)
    const [eth0] = await netns.ip('addr', 'show', 'dev', 'eth0')
    expect(eth0).toMatchObject({
      addr_info: expect.arrayContaining([expect.objectContaining({ local: addressOf(result) })]),
    })
    expect(await links()).toContain('cni-web')
    expect(await run('iptables', ['-t', 'nat', '-S'])).toContain('--dport 18080')

    const server = `require('node:http').createServer((q, s) => s.end('from the pod')).listen(80, () => console.log('up'))`
    await beside(netns, server, async () => {
      expect(await get(`http://${addressOf(result)}:80/`)).toBe('from the pod')
      expect(await get('http://10.70.0.1:18080/')).toBe('from the pod')
    })

    // Where there is ip6tables, this portmap looks in it for the rules of IPv4 too.
    await withPrograms(['iptables'], () => cni().check(chain, pod))
    expect(await leased('web')).toEqual([addressOf(result)])
    await cni().del(chain, pod)
    expect(await leased('web')).toEqual([])
    expect(await run('iptables', ['-t', 'nat', '-S'])).not.toContain('18080')
    expect(await netns.ip('link', 'show')).not.toContainEqual(expect.objectContaining({ ifname: 'eth0' }))
    await cni().del(chain, pod)
  })

  it('GC takes down what nobody names, its namespace gone or not', async () => {
    const chain = network('gone', {
      type: 'bridge',
      bridge: 'cni-gone',
      isGateway: true,
      ipam: hostLocal('10.71.0.0/24'),
    })
    const [kept, lost] = [netns, await namespaces.add()]
    await cni().add(chain, attach())
    await cni().add(chain, attach({ containerId: 'pod2', netns: lost.path }))
    await run('ip', ['netns', 'delete', lost.name])
    await cni().gc(chain, [{ containerId: 'pod1', ifName: 'eth0' }])
    expect(await leased('gone')).toEqual(['10.71.0.2'])
    expect((await cni().attachments()).attachments.map(({ containerId }) => containerId)).toEqual(['pod1'])
    await cni().check(chain, attach({ netns: kept.path }))
    await cni().gc(chain, [])
    expect(await leased('gone')).toEqual([])
  })

  it('a chain that fails at its end leaves nothing', async () => {
    const chain = network(
      'half',
      { type: 'bridge', bridge: 'cni-half', isGateway: true, ipam: hostLocal('10.72.0.0/24') },
      { type: 'tuning', sysctl: { 'net.no.such.key': '1' } },
    )
    await expect(cni().add(chain, attach())).rejects.toMatchObject({
      code: 'ERR_CNI_PLUGIN_FAILED',
      details: { plugin: 'tuning' },
    })
    expect(await leased('half')).toEqual([])
    expect(await netns.ip('link', 'show')).not.toContainEqual(expect.objectContaining({ ifname: 'eth0' }))
    expect((await cni().attachments()).attachments).toEqual([])
  })

  const interfaces = async () =>
    (await netns.ip('link', 'show')).map(({ ifname, ifindex, flags }) => ({ ifname, ifindex, flags }))

  it.each([
    ['an attachment to another network', { containerId: 'pod1' }],
    ['an attachment of another container', { containerId: 'pod2' }],
  ])('ADD refuses an interface that is there, as %s, and touches nothing', async (_, second) => {
    const bridge = (name: string, subnet: string) =>
      network(name, { type: 'bridge', bridge: 'cni-first', isGateway: true, ipam: hostLocal(subnet) })
    const [first, other] = [bridge('first', '10.79.0.0/24'), bridge('other', '10.80.0.0/24')]
    await cni().add(first, attach())
    const before = await interfaces()
    const again = attach(second)
    await expect(cni().add(other, again)).rejects.toMatchObject({
      code: 'ERR_CNI_INTERFACE_EXISTS',
      message: expect.stringMatching(
        /^interface eth0 is in .* already, as container pod1's attachment to network first/,
      ),
    })
    await expect(cni().add(first, again)).rejects.toMatchObject({ code: 'ERR_CNI_INTERFACE_EXISTS' })
    expect(await interfaces()).toEqual(before)
    expect(before).toContainEqual(
      expect.objectContaining({ ifname: 'lo', flags: expect.arrayContaining(['UP']) }),
    )
    expect(await leased('first')).toEqual(['10.79.0.2'])
    expect(await leased('other')).toEqual([])
    await cni().check(first, attach())
    expect((await cni().attachments()).attachments).toHaveLength(1)
    await cni().del(first, attach())
  })

  it('ADD refuses an interface that no attachment made', async () => {
    await netns.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far')
    const before = await interfaces()
    const chain = network('late', { type: 'bridge', bridge: 'cni-late', ipam: hostLocal('10.81.0.0/24') })
    await expect(cni().add(chain, attach())).rejects.toThrow(
      `interface eth0 is in ${netns.path} already; nothing was changed. Give this attachment another interface name`,
    )
    expect(await interfaces()).toEqual(before)
    expect((await cni().attachments()).attachments).toEqual([])
  })

  it.each(['up', 'down'])('a failed ADD leaves lo %s, as it was', async (state) => {
    await netns.run('ip', 'link', 'set', 'lo', state)
    const chain = network('lo', { type: 'loopback' }, { type: 'tuning', sysctl: { 'net.no.such.key': '1' } })
    await expect(cni().add(chain, attach({ ifName: 'lo' }))).rejects.toMatchObject({
      details: { plugin: 'tuning' },
    })
    expect((await findInterface(netns.path, 'lo'))?.up).toBe(state === 'up')
    expect((await cni().attachments()).attachments).toEqual([])
  })

  it('looks into a namespace by programs where there is no koffi', async () => {
    const outfile = join(directory, 'look.mjs')
    const contents = `
      import { findInterface } from '@podwire/libcni'
      for (const name of ['lo', 'eth0', 'eth1'])
        console.log(name, (await findInterface('${netns.path}', name))?.up)
      console.log(await findInterface('${netns.path}.gone', 'lo'))`
    const stdin = { contents, resolveDir: import.meta.dirname }
    await build({
      stdin,
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      conditions: ['podwire-source'],
    })
    await netns.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far')
    expect(await run(process.execPath, [outfile])).toBe('lo true\neth0 false\neth1 undefined\nundefined\n')
  })

  it('ptp: a route each way', async () => {
    const chain = network('ptp', { type: 'ptp', ipam: hostLocal('10.73.0.0/24') })
    const result = await cni().add(chain, attach())
    expect(await senderSeen(undefined, netns, addressOf(result))).toBe('10.73.0.1')
    expect(await senderSeen(netns, undefined, '10.73.0.1')).toBe(addressOf(result))
    expect(await ipJson('route')).toContainEqual(expect.objectContaining({ dst: addressOf(result) }))
    await cni().check(chain, attach())
    await cni().del(chain, attach())
    expect(await ipJson('route')).not.toContainEqual(expect.objectContaining({ dst: addressOf(result) }))
  })

  it('bridge and bandwidth: the rate holds', async () => {
    const chain = network(
      'slow',
      { type: 'bridge', bridge: 'cni-slow', isGateway: true, ipam: hostLocal('10.74.0.0/24') },
      { type: 'bandwidth', capabilities: { bandwidth: true } },
    )
    const rate = 8_000_000
    const bandwidth = { ingressRate: rate, ingressBurst: 800_000, egressRate: rate, egressBurst: 800_000 }
    const pod = attach({ capabilityArgs: { bandwidth } })
    const result = await cni().add(chain, pod)
    expect(await run('tc', ['qdisc'])).toMatch(/qdisc tbf .* rate 8Mbit/)
    // 3 MB at 1 MB/s: three seconds, less what the burst lets through.
    const seconds = await transfer(netns, addressOf(result), 3_000_000)
    expect(seconds).toBeGreaterThan(2)
    expect(seconds).toBeLessThan(8)
    await cni().check(chain, pod)
    await cni().del(chain, pod)
    expect(await run('tc', ['qdisc'])).not.toContain('tbf')
  })

  it('bridge, firewall and tuning', async () => {
    const chain = network(
      'tuned',
      { type: 'bridge', bridge: 'cni-tuned', isGateway: true, ipam: hostLocal('10.75.0.0/24') },
      { type: 'firewall', backend: 'iptables' },
      {
        type: 'tuning',
        mtu: 1400,
        sysctl: { 'net.ipv4.conf.eth0.arp_filter': '1' },
        dataDir: join(directory, 'tuning'),
      },
    )
    const result = await cni().add(chain, attach())
    expect(await netns.ip('link', 'show', 'dev', 'eth0')).toMatchObject([{ mtu: 1400 }])
    expect(await netns.run('cat', '/proc/sys/net/ipv4/conf/eth0/arp_filter')).toBe('1\n')
    expect(await run('iptables', ['-S'])).toContain(addressOf(result))
    expect(await senderSeen(netns, undefined, '10.75.0.1')).toBe(addressOf(result))
    await cni().check(chain, attach())
    await cni().del(chain, attach())
    expect(await run('iptables', ['-S'])).not.toContain(addressOf(result))
  })

  it('macvlan on a link of the host', async () => {
    await run('ip', ['link', 'add', 'parent0', 'type', 'veth', 'peer', 'name', 'parent1'])
    for (const parent of ['parent0', 'parent1']) await run('ip', ['link', 'set', parent, 'up'])
    const other = await namespaces.add()
    const chain = network('mac', {
      type: 'macvlan',
      master: 'parent0',
      mode: 'bridge',
      ipam: hostLocal('10.76.0.0/24'),
    })
    const [first, second] = [attach(), attach({ containerId: 'pod2', netns: other.path })]
    const earlier = await cni().add(chain, first)
    const result = await cni().add(chain, second)
    expect(await netns.ip('-d', 'link', 'show', 'dev', 'eth0')).toMatchObject([
      { linkinfo: { info_kind: 'macvlan' } },
    ])
    expect(await senderSeen(netns, other, addressOf(result))).toBe(addressOf(earlier))
    await cni().check(chain, first)
    for (const pod of [first, second]) await cni().del(chain, pod)
    expect(await leased('mac')).toEqual([])
    await run('ip', ['link', 'delete', 'parent0'])
  })

  it('static addresses', async () => {
    const chain = network('fixed', {
      type: 'bridge',
      bridge: 'cni-fixed',
      ipam: { type: 'static', addresses: [{ address: '10.77.0.9/24' }] },
    })
    const result = await cni().add(chain, attach())
    expect(addressOf(result)).toBe('10.77.0.9')
    await run('ip', ['addr', 'add', '10.77.0.1/24', 'dev', 'cni-fixed'])
    expect(await senderSeen(netns, undefined, '10.77.0.1')).toBe('10.77.0.9')
    await cni().check(chain, attach())
    await cni().del(chain, attach())
    expect(await netns.ip('link', 'show')).not.toContainEqual(expect.objectContaining({ ifname: 'eth0' }))
  })

  it('both families', async () => {
    const chain = network('dual', {
      type: 'bridge',
      bridge: 'cni-dual',
      isGateway: true,
      ipam: hostLocal('10.78.0.0/24', 'fd00:78::/64'),
    })
    const result = await cni().add(chain, attach())
    expect([addressOf(result), addressOf(result, 1)]).toEqual(['10.78.0.2', 'fd00:78::2'])
    expect(await senderSeen(netns, undefined, '10.78.0.1')).toBe('10.78.0.2')
    expect(await senderSeen(netns, undefined, 'fd00:78::1')).toBe('fd00:78::2')
    await cni().check(chain, attach())
    await cni().del(chain, attach())
    expect(await leased('dual')).toEqual([])
  })
})

function get(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { timeout: 5000 }, (response) => {
      let body = ''
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve(body))
    })
    sent.on('timeout', () => sent.destroy(new Error(`${url}: no answer`)))
    sent.on('error', reject)
    sent.end()
  })
}
