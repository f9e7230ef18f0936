import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type EtcdMember, hasEtcd, startEtcd, until } from '../../../.dev/etcd-server.ts'
import { daemonProject } from './daemon-process.ts'
import { project } from './podwire.ts'

const sh = (command: string) => execFileSync('sh', ['-ec', command], { encoding: 'utf8' })

function hasWireguard(): boolean {
  try {
    sh('ip link add probe type wireguard 2>/dev/null; ip link del probe')
    return true
  } catch {
    return false
  }
}

describe.skipIf(!isIsolated() || !hasEtcd)('podwire cluster', () => {
  let etcd: EtcdMember
  let tests = 0
  let prefix = ''

  beforeAll(async () => {
    ;[etcd] = (await startEtcd()) as [EtcdMember]
  })
  beforeEach(() => {
    prefix = `/test-${++tests}`
    sh(`ip link add node0 type veth peer name node1; ip link set node0 up; ip link set node1 up
      ip addr add 192.0.2.1/24 dev node0`)
  })
  afterEach(() => sh('ip link del node0; ip link del podwire.1 2>/dev/null || true; ip -all netns delete'))

  const cluster = (more: object = {}) => ({
    etcd: { endpoints: [etcd.endpoint], prefix },
    nodeName: 'a',
    publicIP: '192.0.2.1',
    ...more,
  })

  test('writes the network once, lists, reserves and releases', async () => {
    const { podwire } = project({ 'podwire.config.json': { cluster: cluster(), stateDir: './state' } })
    const init = ['cluster', 'init', '--network', '10.244.0.0/16']
    expect(podwire('cluster', 'reserve', '10.244.9.0/24')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('podwire cluster init'),
    })
    expect(podwire('cluster', 'init')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--network'),
    })
    expect(podwire(...init, '--direct-routing')).toMatchObject({
      status: 0,
      stdout: '10.244.0.0/16 by vxlan\n',
    })
    expect(JSON.parse(await etcd.ctl('get', '--print-value-only', `${prefix}/config`))).toEqual({
      Network: '10.244.0.0/16',
      Backend: { Type: 'vxlan', VNI: 1, Port: 8472, DirectRouting: true },
    })
    expect(podwire(...init, '--backend', 'host-gw')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('another one'),
    })
    expect(podwire(...init, '--backend', 'host-gw', '--force').status).toBe(0)

    expect(podwire('cluster', 'leases')).toMatchObject({
      status: 0,
      stdout: `nothing is leased or reserved: etcd has no key below ${prefix}/subnets/\n`,
    })
    expect(podwire('cluster', 'reserve', '10.244.100.0/24').status).toBe(0)
    expect(podwire('cluster', 'reserve', '10.244.9.0/24', '--node', 'b').stdout).toBe(
      'reserved 10.244.9.0/24 for node b\n',
    )
    expect(podwire('cluster', 'reserve', '10.244.8.0/22')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('Release it first: podwire cluster release 10.244.9.0/24'),
    })
    await etcd.ctl(
      'put',
      `${prefix}/subnets/10.244.7.0-24`,
      '{"PublicIP":"192.0.2.7","BackendType":"host-gw"}',
    )
    await etcd.ctl('put', `${prefix}/subnets/10.244.8.0-24`, 'garbage \u001b[31m')
    const { stdout } = podwire('cluster', 'leases')
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(/ {2,}/)),
    ).toEqual([
      ['POD CIDR', 'STATE', 'NODE', 'ADDRESS', 'BACKEND'],
      ['10.244.7.0/24', 'reserved', '-', '192.0.2.7', 'host-gw'],
      ['10.244.8.0/24', 'unreadable', '-', '-', '-'],
      ['10.244.9.0/24', 'reserved', 'b', '-', 'reserved'],
      ['10.244.100.0/24', 'reserved', '-', '-', 'reserved'],
    ])
    expect(JSON.parse(podwire('cluster', 'leases', '--json').stdout)).toHaveLength(4)
    expect(podwire('cluster', 'release', '10.244.7.0/24')).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/reserved for a node at 192\.0\.2\.7, and has no end.*--force/),
    })
    expect(podwire('cluster', 'release', '10.244.7.0/24', '--force').status).toBe(0)
    expect(podwire('cluster', 'release', 'b').stdout).toBe(
      'released 10.244.9.0/24, which was reserved for node b\n',
    )
    expect(podwire('cluster', 'release', 'b')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('leased or reserved'),
    })
    expect(podwire('cluster', 'status')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('no daemon'),
    })
  })

  test('writes a network that is encrypted, and shows its secret to nobody', async () => {
    const presharedKey = Buffer.alloc(32, 's').toString('base64')
    const { podwire } = project({
      'podwire.config.json': { cluster: cluster(), stateDir: './state' },
      psk: `${presharedKey}\n`,
      empty: '',
      garbage: `${presharedKey}x`,
    })
    const init = ['cluster', 'init', '--network', '10.244.0.0/16', '--backend', 'wireguard']
    expect(podwire(...init, '--psk-file', './psk', '--keepalive', '25', '--mode', 'auto')).toMatchObject({
      status: 0,
      stdout: '10.244.0.0/16 by wireguard\n',
    })
    expect(JSON.parse(await etcd.ctl('get', '--print-value-only', `${prefix}/config`))).toEqual({
      Network: '10.244.0.0/16',
      Backend: {
        Type: 'wireguard',
        ListenPort: 51_820,
        ListenPortV6: 51_821,
        PSK: presharedKey,
        PersistentKeepaliveInterval: 25,
        Mode: 'auto',
      },
    })
    for (const [args, problem] of [
      [[], 'another one'],
      [['--psk-file', './none'], '--psk-file'],
      [['--psk-file', './empty'], 'a file that holds a key'],
      [['--psk-file', './garbage', '--force'], 'Backend.PSK: expected 32 bytes in base64'],
      [['--port', '51821'], 'both 51821'],
    ] as const) {
      const { status, stdout, stderr } = podwire(...init, ...args)
      expect([status, stderr]).toEqual([2, expect.stringContaining(problem)])
      expect(stdout + stderr).not.toContain(presharedKey)
    }
  })

  test('takes no flag that says nothing of the network that it writes', async () => {
    const { podwire } = project({
      'podwire.config.json': { cluster: cluster(), stateDir: './state' },
      psk: `${Buffer.alloc(32, 's').toString('base64')}\n`,
    })
    const init = ['cluster', 'init', '--network', '10.244.0.0/16']
    for (const [args, flag, of] of [
      [['--psk-file', './psk'], '--psk-file', '--backend wireguard'],
      [['--mode', 'separate'], '--mode', '--backend wireguard'],
      [['--backend', 'host-gw', '--port', '8472'], '--port', '--backend vxlan or --backend wireguard'],
      [['--backend', 'host-gw', '--keepalive', '0'], '--keepalive', '--backend wireguard'],
      [['--backend', 'host-gw', '--port-v6', '51821'], '--port-v6', '--backend wireguard'],
      [['--backend', 'wireguard', '--vni', '1'], '--vni', '--backend vxlan'],
      [['--backend', 'wireguard', '--direct-routing'], '--direct-routing', '--backend vxlan'],
      [['--ipv6-subnet-length', '64'], '--ipv6-subnet-length', '--ipv6 CIDR'],
    ] as const)
      expect(podwire(...init, ...args)).toMatchObject({
        status: 2,
        stdout: '',
        stderr: expect.stringContaining(`Leave ${flag} out, or give ${of}.`),
      })
    expect(await etcd.ctl('get', '--prefix', prefix)).toBe('')
  })

  test('goes where it is told to, without a configuration', () => {
    const { podwire } = project()
    const at = ['--endpoint', etcd.endpoint, '--prefix', prefix]
    expect(podwire('cluster', 'init', '--ipv6', 'fd00:244::/48', ...at).stdout).toBe(
      'fd00:244::/48 by vxlan\n',
    )
    expect(podwire('cluster', 'leases', ...at).status).toBe(0)
    expect(podwire('cluster', 'leases')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--endpoint'),
    })
    for (const endpoint of ['etcd:2379', 'http://etcd:2379/v3'])
      expect(podwire('cluster', 'leases', '--endpoint', endpoint)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining(`--endpoint: "${endpoint}" is not understood`),
      })
    expect(podwire('cluster', 'init', '--network', 'x', ...at)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('not an IPv4 CIDR'),
    })
  })

  test.skipIf(isIsolated() && hasWireguard())(
    'a node whose kernel has no WireGuard says so once, and where more is said',
    () => {
      const stateDir = '/run/podwire-unfit'
      const { podwire } = project({ 'podwire.config.json': { cluster: cluster(), stateDir } })
      podwire('cluster', 'init', '--network', '10.244.0.0/16', '--backend', 'wireguard')
      const { status, stderr } = podwire('daemon', '--log', 'text')
      expect(status).toBe(2)
      expect(stderr.match(/this node's kernel, Linux .* has none/g)).toHaveLength(1)
      expect(stderr).toMatch(/^podwire: help: https:.*\/errors\/WIREGUARD_UNAVAILABLE$/m)
    },
  )

  test('a node whose pod CIDR is taken from it gets another, and its pods of before go on', async () => {
    await etcd.ctl('put', `${prefix}/config`, '{"Network":"10.244.0.0/16","Backend":{"Type":"host-gw"}}')
    const stateDir = '/run/podwire-cluster'
    const made = daemonProject({ networkPlugin: 'kubenet', stateDir, cluster: cluster() })
    const daemon = await made.startDaemon()
    const { podwire } = made
    expect(podwire('cluster', 'status').stdout).toMatch(
      /^node a at 192\.0\.2\.1 has 10\.244\.1\.0\/24, for 24 h more/,
    )
    expect(JSON.parse(podwire('cluster', 'status', '--json').stdout)).toMatchObject({
      state: 'joined',
      podCIDR: '10.244.1.0/24',
    })
    const shorter = join(made.dir, 'shorter.json')
    writeFileSync(shorter, JSON.stringify({ stateDir, cluster: cluster({ leaseTTL: '1h' }) }))
    expect(podwire('cluster', 'status', '--config', shorter).stderr).toContain(
      'the lease of 10.244.1.0/24 was begun for 24 h, and is renewed for that: leaseTTL, 60 min now',
    )
    // Of one that is away it says so at once, a day before a renewal would find out.
    await etcd.kill()
    await until(() => podwire('cluster', 'status').stderr.includes("etcd can't be reached"))
    expect(podwire('cluster', 'status')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('has 10.244.1.0/24'),
    })
    await etcd.restart()
    await until(() => podwire('cluster', 'status').stderr === '')
    await until(() => daemon.log().includes('the leases are heard of again'))
    expect(podwire('up', 'default/old').stdout).toContain('10.244.1.2')
    await etcd.ctl(
      'put',
      `${prefix}/subnets/10.244.1.0-24`,
      '{"PublicIP":"192.0.2.66","BackendType":"host-gw"}',
    )
    await until(() => podwire('cluster', 'status').stdout.includes('10.244.2.0/24'))
    await until(() => podwire('up', 'default/new').stdout.includes('10.244.2.2'))
    for (const command of [['cluster', 'status'], ['status']]) {
      const { stderr } = podwire(...command)
      expect(stderr).toMatch(
        /^podwire: default\/old has 10\.244\.1\.2 of 10\.244\.1\.0\/24, and this node's pod CIDR is 10\.244\.2\.0\/24 now: .* podwire down default\/old, /m,
      )
      expect(stderr).not.toContain('default/new')
    }
    expect(JSON.parse(podwire('cluster', 'status', '--json').stdout)).toMatchObject({
      formerPods: [{ namespace: 'default', name: 'old', ips: ['10.244.1.2'] }],
    })
    expect(sh('ip route show 10.244.1.0/24 proto 80')).toContain('via 192.0.2.66')
    // They reach each other here, though the others' way to the old one is another by now.
    const netns = JSON.parse(podwire('status', 'default/new', '--json').stdout).pods[0].netns
    const script =
      "require('node:net').createServer((s)=>s.end('hello')).listen(80,'10.244.1.2',()=>console.log('listens'))"
    const serve = made.start('exec', 'default/old', '--', process.execPath, '-e', script)
    await new Promise((resolve) => serve.stdout.once('data', resolve))
    const ask =
      "require('node:net').connect(80,'10.244.1.2').on('data',(d)=>{console.log(String(d));process.exit()})"
    expect(sh(`nsenter --net=${netns} timeout 20 ${process.env['PODWIRE_TEST_NODE']} -e "${ask}"`)).toContain(
      'hello',
    )
    serve.kill()
    expect(podwire('down', 'default/old').status).toBe(0)
    expect(podwire('cluster', 'status').stderr).toBe('')
    for (const pod of ['default/old', 'default/new']) expect(podwire('down', pod).status).toBe(0)
  })
})
