import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createCni, loadNetwork } from '@podwire/libcni'
import { isIsolated } from '@podwire/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { daemonProject } from './daemon-process.ts'
import { built } from './podwire.ts'
import { ask, bytesWithin } from './runtimes/traffic.ts'

const plugins = '/usr/lib/cni'
const missing = [join(plugins, 'portmap'), '/usr/sbin/iptables'].filter((path) => !existsSync(path))
if (missing.length > 0) console.warn(`plugins behind ours are skipped: there is no ${missing.join(', ')}`)

const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8' })

const serving = `require('node:net').createServer((socket) => {
  socket.on('error', () => {})
  socket.on('data', () => {})
  socket.write('hello\\n')
}).listen(80, () => console.log('listening'))`

describe.skipIf(!isIsolated() || missing.length > 0)('another network plugin than kubenet', () => {
  afterEach(() => {
    execFileSync('ip', ['-all', 'netns', 'delete'])
  })

  test('answers a container runtime with what it knows', async () => {
    const stateDir = '/run/podwire-other'
    const { dir, podwire, startDaemon } = daemonProject({
      networkPlugin: 'cni',
      stateDir,
      discovery: { packages: [join(built, 'plugins/cni')] },
      plugins: { cni: { confDir: './inner' } },
    })
    const [binDir, confDir] = [join(dir, 'bin'), join(dir, 'net.d')]
    mkdirSync(binDir)
    mkdirSync(join(dir, 'inner'))
    const ipam = {
      type: 'host-local',
      dataDir: join(dir, 'ipam'),
      ranges: [[{ subnet: '10.93.0.0/24' }]],
      routes: [{ dst: '0.0.0.0/0' }],
    }
    const inner = {
      name: 'inner',
      cniVersion: '1.0.0',
      plugins: [{ type: 'bridge', bridge: 'inner0', isGateway: true, ipam }],
    }
    writeFileSync(join(dir, 'inner/10-inner.conflist'), JSON.stringify(inner))
    await startDaemon()
    const where = ['--bin-dir', binDir, '--conf-dir', confDir]
    expect(podwire('cni', 'install', ...where)).toMatchObject({ status: 0, stderr: '' })
    const runtime = createCni({ pluginDirectories: [binDir], cacheDirectory: join(dir, 'cache') })
    const network = await loadNetwork(confDir, 'podwire')
    run('ip', 'netns', 'add', 'two')
    const attachment = { containerId: 'two', ifName: 'eth0', netns: '/run/netns/two' }
    const result = await runtime.add(network, attachment)
    const [own] = JSON.parse(run('ip', '-n', 'two', '-json', 'link', 'show', 'eth0'))
    expect(result).toMatchObject({
      interfaces: [
        { name: expect.stringMatching(/^veth/) },
        { name: 'eth0', mac: own.address, sandbox: '/run/netns/two' },
      ],
      ips: [{ address: '10.93.0.2/24', gateway: '10.93.0.1', interface: 1 }],
      routes: [{ dst: '0.0.0.0/0' }],
    })
    await runtime.check(network, attachment)
    // Of this plugin's pods the first interface has one name.
    const other = { ...attachment, ifName: 'net1' }
    await expect(runtime.add(network, other)).rejects.toThrow('interfaceNames')
    await runtime.del(network, attachment)
    expect(JSON.parse(run('ip', '-json', 'link', 'show', 'type', 'veth'))).toEqual([])
  })
})

describe.skipIf(!isIsolated() || missing.length > 0)('plugins of Debian behind ours', () => {
  afterEach(() => {
    execFileSync('ip', ['-all', 'netns', 'delete'])
  })

  test('publish ports, limit, set up the firewall and tune, and take it back', async () => {
    const stateDir = '/run/podwire-chain'
    const { dir, podwire, startDaemon } = daemonProject({
      networkPlugin: 'kubenet',
      podCIDR: '10.92.0.0/24',
      stateDir,
    })
    const [binDir, confDir] = [join(dir, 'bin'), join(dir, 'net.d')]
    mkdirSync(binDir)
    for (const name of readdirSync(plugins)) symlinkSync(join(plugins, name), join(binDir, name))
    await startDaemon()
    const chain = ['portmap', 'bandwidth', 'firewall', 'tuning'].flatMap((type) => ['--chain', type])
    const where = ['--bin-dir', binDir, '--conf-dir', confDir]
    expect(podwire('cni', 'install', ...where, ...chain)).toMatchObject({ status: 0, stderr: '' })

    const runtime = createCni({ pluginDirectories: [binDir], cacheDirectory: join(dir, 'cache') })
    const network = await loadNetwork(confDir, 'podwire')
    run('ip', 'netns', 'add', 'one')
    const attachment = {
      containerId: 'one',
      ifName: 'eth0',
      netns: '/run/netns/one',
      capabilityArgs: {
        portMappings: [{ hostPort: 8082, containerPort: 80, protocol: 'tcp' }],
        bandwidth: { ingressRate: 8_000_000, ingressBurst: 800_000 },
      },
    }
    const before = run('iptables-save')
    const { ips = [] } = (await runtime.add(network, attachment)) as { ips?: { address: string }[] }
    const ip = ips[0]?.address.split('/')[0] ?? ''
    const server = spawn('ip', ['netns', 'exec', 'one', process.execPath, '-e', serving], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      await once(server.stdout, 'data')
      expect(await ask(ip, 80)).toBe('hello')
      expect(await ask('127.0.0.1', 8082)).toBe('hello')
      // A megabyte a second, and what passes at once.
      expect(await bytesWithin(ip, 80, 2_000)).toBeLessThan(3_500_000)
    } finally {
      server.kill('SIGKILL')
    }
    await runtime.del(network, attachment)
    const rules = (text: string) =>
      text.split('\n').filter((line) => line.startsWith('-A') && line.includes(ip))
    expect(rules(run('iptables-save'))).toEqual(rules(before))
    expect(JSON.parse(run('ip', '-json', 'link', 'show', 'type', 'veth'))).toEqual([])
    await expect(ask('127.0.0.1', 8082)).rejects.toThrow()
    expect(JSON.parse(podwire('ps', '--json').stdout)).toEqual([])
  })
})
