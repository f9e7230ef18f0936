import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '@podwire/core'
import { families, NETLINK_GENERIC, openNetlink, wireguard } from '@podwire/netlink'
import { isIsolated } from '@podwire/testing'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type EtcdMember, hasEtcd, startEtcd } from '../../../.dev/etcd-server.ts'
import { startDaemon } from '../src/index.ts'
import { afterThis, startTestDaemon, until } from './daemon.ts'

function hasWireguard(): boolean {
  const netlink = openNetlink({ protocol: NETLINK_GENERIC })
  try {
    netlink.runSync(families.get(wireguard.FAMILY_NAME))
    return true
  } catch {
    return false
  } finally {
    netlink.close()
  }
}

const sh = (command: string) => execFileSync('sh', ['-ec', command], { encoding: 'utf8' })

describe.skipIf(!isIsolated())('a daemon whose node is one of many', () => {
  beforeEach(() => {
    sh('ip link add node0 type bridge; ip link set node0 up; ip addr add 192.0.2.1/24 dev node0')
  })
  afterEach(() => {
    sh('ip link del podwire.1 2>/dev/null || true; ip link del node0')
  })

  describe('by a list', () => {
    const nodes = [
      { node: 'a', podCIDR: '10.244.1.0/24', publicIP: '192.0.2.1' },
      { node: 'b', podCIDR: '10.244.2.0/24', publicIP: '192.0.2.2' },
      { node: 'c', podCIDR: '10.244.3.0/24', publicIP: '203.0.113.3' },
    ]

    test('tells its plugin the pod CIDR, and has routes to all others', async () => {
      const { ask } = await startTestDaemon('', { cluster: { static: nodes, nodeName: 'a' } })
      expect((await ask('GET', '/v1/plugin')).body.start).toMatchObject({
        podCIDR: '10.244.1.0/24',
        nonMasqueradeCIDR: '10.0.0.0/8,10.244.1.0/24,10.244.2.0/24,10.244.3.0/24',
        mtu: 1450,
      })
      expect(sh('ip route show proto 80').trim().split(/ *\n/)).toEqual([
        '10.244.2.0/24 via 192.0.2.2 dev node0',
        '10.244.3.0/24 via 10.244.3.0 dev podwire.1 onlink',
      ])
      expect((await ask('PUT', '/v1/pods/default/web', {})).status).toBe(200)
      expect((await ask('GET', '/v1/events?from=start&until=now')).text).toContain('event: cluster:joined')
    })

    test('has its plugin forget pods of other nodes, as nobody tells of them', async () => {
      const event = `event: (name, details) => { if (name === 'peer-pods-change') globalThis.last = details },`
      const static_ = { cluster: { static: nodes, nodeName: 'a' } }
      await startTestDaemon(event, static_)
      const world = globalThis as { last?: object }
      await until(() => world.last !== undefined)
      expect(world.last).toEqual({ all: [], changed: [] })
    })

    test('keeps what the configuration says of masquerading and MTU', async () => {
      const { ask } = await startTestDaemon('', {
        cluster: { static: nodes, nodeName: 'a', backend: { type: 'host-gw' } },
        nonMasqueradeCIDR: '0.0.0.0/0',
        mtu: 1400,
      })
      expect((await ask('GET', '/v1/plugin')).body.start).toMatchObject({
        nonMasqueradeCIDR: '0.0.0.0/0',
        mtu: 1400,
      })
      expect(sh('ip route show proto 80').trim()).toBe('10.244.2.0/24 via 192.0.2.2 dev node0')
    })

    test.each([
      ['is not on it', { static: nodes, nodeName: 'x' }, 'STATIC_NODE_UNKNOWN'],
      [
        'shares addresses with another',
        { static: [...nodes, { ...nodes[0], node: 'd' }], nodeName: 'd' },
        'STATIC_NODES_OVERLAP',
      ],
    ])('refuses one that %s', async (_what, cluster, code) => {
      await expect(startTestDaemon('', { cluster })).rejects.toMatchObject({ code })
    })

    test('refuses to become part of another one while it runs', async () => {
      const { ask, daemon, configure } = await startTestDaemon('', {
        cluster: { static: nodes, nodeName: 'a' },
      })
      configure({ cluster: { static: nodes, nodeName: 'b' } })
      await daemon.reload()
      expect((await ask('GET', '/v1/events?from=start&until=now')).text).toContain('CLUSTER_CHANGED')
      expect((await ask('GET', '/v1/plugin')).body.start.podCIDR).toBe('10.244.1.0/24')
    })
  })

  test('by Kubernetes has the pod CIDR of its Node', async () => {
    const node = {
      metadata: { name: 'a', resourceVersion: '7' },
      spec: { podCIDR: '10.244.6.0/24', podCIDRs: ['10.244.6.0/24'] },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
    }
    const api = createServer((request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      if (request.url?.includes('watch=1')) response.flushHeaders()
      else response.end(JSON.stringify({ metadata: { resourceVersion: '7' }, items: [node] }))
    }).listen(0, '127.0.0.1')
    afterThis(() => {
      api.closeAllConnections()
      api.close()
    })
    await new Promise((resolve) => api.once('listening', resolve))
    const { port } = api.address() as { port: number } // of a TCP server
    const dir = mkdtempSync(join(tmpdir(), 'podwire-kube-'))
    afterThis(() => rmSync(dir, { recursive: true, force: true }))
    const kubeconfig = join(dir, 'config')
    const named = {
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: 'u', user: {} }],
    }
    const contexts = [{ name: 'x', context: { cluster: 'c', user: 'u' } }]
    writeFileSync(kubeconfig, JSON.stringify({ 'current-context': 'x', contexts, ...named }))
    const { ask } = await startTestDaemon('', {
      cluster: {
        kubernetes: { kubeconfig, clusterCIDR: '10.244.0.0/16' },
        nodeName: 'a',
        interface: 'node0',
      },
    })
    expect((await ask('GET', '/v1/plugin')).body.start).toMatchObject({
      podCIDR: '10.244.6.0/24',
      nonMasqueradeCIDR: '10.0.0.0/8,10.244.0.0/16',
    })
    expect((await ask('PUT', '/v1/pods/default/web', {})).status).toBe(200)
  })

  describe.skipIf(!hasEtcd)('by an etcd', () => {
    let etcd: EtcdMember
    let tests = 0

    beforeAll(async () => {
      ;[etcd] = (await startEtcd()) as [EtcdMember]
    })

    const start = async (more: object = {}, methods = '') => {
      const prefix = `/test-${++tests}`
      await etcd.ctl('put', `${prefix}/config`, '{"Network":"10.244.0.0/16","Backend":{"Type":"host-gw"}}')
      const cluster = {
        etcd: { endpoints: [etcd.endpoint], prefix },
        nodeName: 'a',
        publicIP: '192.0.2.1',
        leaseTTL: '10s',
        ...more,
      }
      return { prefix, config: cluster, ...(await startTestDaemon(methods, { cluster })) }
    }
    const put = (prefix: string, subnet: string, address: string) =>
      etcd.ctl('put', `${prefix}/subnets/${subnet}`, `{"PublicIP":"${address}","BackendType":"host-gw"}`)

    test('leases its pod CIDR, follows who comes and goes, and gives it back where it is told to', async () => {
      const { prefix, ask, daemon } = await start({ releaseOnStop: true })
      expect((await ask('GET', '/v1/plugin')).body.start).toMatchObject({
        podCIDR: '10.244.1.0/24',
        nonMasqueradeCIDR: '10.0.0.0/8,10.244.0.0/16',
      })
      await put(prefix, '10.244.9.0-24', '192.0.2.9')
      await until(() => sh('ip route show proto 80').trim() === '10.244.9.0/24 via 192.0.2.9 dev node0')
      sh('ip route del 10.244.9.0/24')
      await until(async () =>
        (await ask('GET', '/v1/events?from=start&until=now')).text.includes('event: cluster:repaired'),
      )
      await etcd.ctl('del', `${prefix}/subnets/10.244.9.0-24`)
      await until(() => sh('ip route show proto 80') === '')
      await daemon.stop()
      expect(await etcd.ctl('get', '--prefix', '--keys-only', `${prefix}/subnets/`)).toBe('')
    })

    test('takes no new pods while it is fenced, keeps those it has, and goes on by the new pod CIDR', async () => {
      const { prefix, ask, configure, daemon, config } = await start()
      const web = await ask('PUT', '/v1/pods/default/web', {})
      expect(web.status).toBe(200)
      await put(prefix, '10.244.9.0-24', '192.0.2.9')
      await until(() => sh('ip route show proto 80') !== '')
      await etcd.ctl('put', `${prefix}/config`, '{}')
      await put(prefix, '10.244.1.0-24', '192.0.2.7')
      await until(async () => !(await ask('GET', '/v1/status')).body.readiness.ready)
      const refused = await ask('PUT', '/v1/pods/default/new', {})
      expect(refused.status).toBe(503)
      expect(refused.body.error).toMatchObject({
        code: 'NOT_IN_CLUSTER',
        message: expect.stringContaining('10.244.1.0-24 is now reserved for a node at 192.0.2.7'),
      })
      // Right after no pod can be set up any more.
      await until(() => sh('ip route show proto 80') === '')
      // Whoever reads the configuration again meanwhile goes on by the pod CIDR of before.
      configure({ cluster: config, mtu: 1400 })
      await daemon.reload()
      expect((await ask('GET', '/v1/plugin')).body.start).toMatchObject({
        podCIDR: '10.244.1.0/24',
        nonMasqueradeCIDR: '10.0.0.0/8,10.244.0.0/16',
        mtu: 1400,
      })
      // What is there may be mended.
      expect((await ask('PUT', '/v1/pods/default/web', {})).status).toBe(200)
      await etcd.ctl('put', `${prefix}/config`, '{"Network":"10.244.0.0/16","Backend":{"Type":"host-gw"}}')
      await until(async () => (await ask('GET', '/v1/status')).body.readiness.ready)
      expect((await ask('GET', '/v1/plugin')).body.start.podCIDR).toBe('10.244.2.0/24')
      expect((await ask('PUT', '/v1/pods/default/new', {})).status).toBe(200)
      const { text } = await ask('GET', '/v1/events?from=start&until=now')
      expect(text).toContain('event: cluster:fenced')
      expect(text).toContain('"pod-cidr":"10.244.2.0/24"')
    })

    test('goes on by the new pod CIDR though its plugin can not be started by it at first', async () => {
      const failsOnce = `init: async () => {
        globalThis.starts = (globalThis.starts ?? 0) + 1
        if (globalThis.starts === 2) throw new Error('not now')
      },`
      const { prefix, ask, log } = await start({}, failsOnce)
      await put(prefix, '10.244.1.0-24', '192.0.2.7')
      await until(() => log.entries.some(({ message }) => message.includes('not now')))
      await until(async () => (await ask('GET', '/v1/status')).body.readiness.ready)
      expect((await ask('GET', '/v1/plugin')).body.start.podCIDR).toBe('10.244.2.0/24')
      const { text } = await ask('GET', '/v1/events?from=start&until=now')
      expect(text.match(/^event: cluster:joined$/gm)).toHaveLength(2)
    })

    // A kernel that has it is tried by npm run test:platforms.
    test.skipIf(hasWireguard())(
      'does not start where its kernel lacks what the network needs, and says what to do',
      async () => {
        const prefix = `/test-${++tests}`
        await etcd.ctl(
          'put',
          `${prefix}/config`,
          '{"Network":"10.244.0.0/16","Backend":{"Type":"wireguard"}}',
        )
        const cluster = { etcd: { endpoints: [etcd.endpoint], prefix }, nodeName: 'a', publicIP: '192.0.2.1' }
        await expect(startTestDaemon('', { cluster })).rejects.toMatchObject({
          code: 'WIREGUARD_UNAVAILABLE',
          message: expect.stringMatching(/kernel.* has none.*podwire cluster init --network CIDR --backend/),
        })
        expect(await etcd.ctl('get', '--prefix', '--keys-only', `${prefix}/subnets/`)).toBe('')
      },
    )

    test('leaves no pod whose set-up began before it was fenced', async () => {
      const waits = `setUpPod: async () => {
        globalThis.isSettingUp = true
        await new Promise((resolve) => { globalThis.setUp = resolve })
        return { ip: '192.0.2.9' }
      },`
      const { prefix, ask } = await start({}, waits)
      const world = globalThis as { isSettingUp?: boolean; setUp?: () => void }
      const asked = ask('PUT', '/v1/pods/default/late', {})
      await until(() => world.isSettingUp === true)
      await etcd.ctl('put', `${prefix}/config`, '{}')
      await put(prefix, '10.244.1.0-24', '192.0.2.7')
      await until(async () => !(await ask('GET', '/v1/status')).body.readiness.ready)
      world.setUp?.()
      expect((await asked).status).toBe(503)
      expect((await ask('GET', '/v1/pods/default/late')).status).toBe(404)
    })

    test('tells the other nodes of its pods, and its plugin of theirs, again when that is another one', async () => {
      const { prefix, ask, daemon, configure } = await start(
        { sharedAnnotations: ['app', 'team/*'] },
        `event: (name, details) => { if (name === 'peer-pods-change') (globalThis.told ??= []).push(details) },
        setUpPod: async () => ({ ip: '10.244.1.7', ips: ['10.244.1.7', '203.0.113.7'] }),`,
      )
      const told = () => (globalThis as { told?: object[] }).told ?? []
      const annotations = { app: 'web', 'team/a': 'x', 'teams/a': 'y', secret: 'hunter2' }
      expect((await ask('PUT', '/v1/pods/default/web', { annotations })).status).toBe(200)
      const records = `${prefix}/pods/10.244.1.0-24/`
      await until(async () => (await etcd.ctl('get', '--prefix', records)) !== '')
      const [key, value = ''] = (await etcd.ctl('get', '--prefix', records)).trim().split('\n')
      expect(key).toBe(`${records}default/web`)
      expect(JSON.parse(value)).toEqual({
        addresses: ['10.244.1.7'],
        annotations: { app: 'web', 'team/a': 'x' },
      })
      // One of another node, which says too much of itself.
      await put(prefix, '10.244.9.0-24', '192.0.2.9')
      await etcd.ctl('put', `${prefix}/pods/10.244.9.0-24/default/db`, '{"addresses":["10.244.9.3"]}')
      await etcd.ctl('put', `${prefix}/pods/10.244.9.0-24/default/liar`, '{"addresses":["10.244.1.7"]}')
      const db = { namespace: 'default', name: 'db', addresses: ['10.244.9.3'], annotations: {} }
      const change = { changed: [{ podCIDR: '10.244.9.0/24', pods: [db] }] }
      await until(() => JSON.stringify(told()).includes('10.244.9.3'))
      expect(told().at(-1)).toEqual(change)
      const events = async () => (await ask('GET', '/v1/events?from=start&until=now')).text
      await until(async () => (await events()).includes('event: cluster:refused'))
      expect(await events()).toContain('default/liar')
      // A plugin that is started anew by another configuration hears all of it.
      const before = told().length
      const { config } = await loadConfig({ file: join(daemon.socket, '../../podwire.config.json') })
      configure({ cluster: { ...config.cluster, leaseTTL: '10s', renewBefore: '5s' }, hairpinMode: 'none' })
      await daemon.reload()
      await until(() => told().length > before)
      expect(told().at(-1)).toEqual({ all: ['10.244.9.0/24'], ...change })
      await ask('DELETE', '/v1/pods/default/web')
      await until(async () => (await etcd.ctl('get', '--prefix', records)) === '')
    })

    test('tells nobody of its pods, and hears of none, where it is told not to', async () => {
      const { prefix, ask } = await start(
        { sharePods: false },
        `event: (name, details) => { if (name === 'peer-pods-change') (globalThis.heard ??= []).push(details) },
        setUpPod: async () => ({ ip: '10.244.1.7' }),`,
      )
      await put(prefix, '10.244.9.0-24', '192.0.2.9')
      await etcd.ctl('put', `${prefix}/pods/10.244.9.0-24/default/db`, '{"addresses":["10.244.9.3"]}')
      expect((await ask('PUT', '/v1/pods/default/web', {})).status).toBe(200)
      // Its routes follow the same etcd.
      await until(() => sh('ip route show proto 80') !== '')
      const { heard } = globalThis as { heard?: object[] }
      expect(heard).toEqual([{ all: [], changed: [] }])
      expect(await etcd.ctl('get', '--prefix', `${prefix}/pods/10.244.1`)).toBe('')
    })

    test('leaves its kernel to others when its node is part of no cluster any more', async () => {
      const { daemon, configure, load, log } = await start()
      const guard = () => sh('nft list tables').includes('inet podwire-cluster')
      await until(guard)
      await daemon.stop(0)
      expect(guard()).toBe(true)
      configure({})
      const alone = await startDaemon({ load, log, version: '0.0.0', env: {} })
      afterThis(() => alone.stop(0))
      expect(guard()).toBe(false)
    })

    test('starts without it, and joins when it can', async () => {
      await etcd.kill()
      const prefix = `/test-${++tests}`
      const cluster = { etcd: { endpoints: [etcd.endpoint], prefix }, nodeName: 'a', publicIP: '192.0.2.1' }
      const { ask } = await startTestDaemon('', { cluster })
      expect((await ask('GET', '/v1/status')).body.readiness).toMatchObject({
        ready: false,
        reason: expect.stringContaining("can't be reached"),
      })
      expect((await ask('PUT', '/v1/pods/default/web', {})).status).toBe(503)
      await etcd.restart()
      await etcd.ctl('put', `${prefix}/config`, '{"Network":"10.244.0.0/16","Backend":{"Type":"host-gw"}}')
      await until(async () => (await ask('GET', '/v1/status')).body.readiness.ready)
      expect((await ask('PUT', '/v1/pods/default/web', {})).status).toBe(200)
    })
  })
})
