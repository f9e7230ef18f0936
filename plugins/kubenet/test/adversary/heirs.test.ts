import { basename } from 'node:path'
import type { Policy, PolicyRule } from '@podwire/api'
import { expect, it, onTestFinished } from 'vitest'
import { defaultOptions } from '../../src/options.ts'
import { createKubenet } from '../../src/plugin.ts'
import { startUpstream } from '../policy/names/upstream.ts'
import { describeIsolated, never, run, useMachine } from '../support/machine.ts'

const allowing = (...allow: PolicyRule[]): Policy => ({ egress: { default: 'deny', allow } })
const SITE = '93.184.216.34'
const REFUSED = /^(EHOSTUNREACH|EACCES|timeout)$/

/** Pods that come after others: of what those were let do, nothing is theirs. */
describeIsolated('a pod that comes after another one', () => {
  const machine = useMachine()

  /** A site that two names lead to, and a name server that says so. */
  async function site() {
    const outside = await machine.outside(SITE)
    for (const port of [80, 443]) await outside.serve('tcp', port, 'outside')
    const upstream = await startUpstream(({ name }) =>
      name.endsWith('.test') ? [{ type: 'A', name, ttl: 600, data: SITE }] : [],
    )
    onTestFinished(() => upstream.close())
    return { nameServers: [upstream.server] }
  }

  /** Another process of the same host. */
  async function another(options: object) {
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const all = { ...defaultOptions, datapath: 'routed' as const, repairInterval: 0, ...options }
    const plugin = createKubenet({ options: all, stateDir: machine.stateDir, log })
    onTestFinished(() => plugin.close?.())
    await plugin.init(machine.host, { hairpinMode: 'hairpin-veth', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 })
    await plugin.event('pod-cidr-change', { 'pod-cidr': '10.88.0.0/16,fd88::/64' })
    return plugin
  }

  async function resolve(id: string, ...names: string[]) {
    const peer = await machine.peer(id)
    for (const name of names) expect(await peer.resolve(name, '9.9.9.9')).toBe(SITE)
    peer.stop()
  }

  async function expectDenied(id: string, ...ports: number[]) {
    const peer = await machine.peer(id)
    for (const port of ports) expect(await peer.ask('tcp', SITE, port, { timeout: 700 })).toMatch(REFUSED)
    peer.stop()
  }

  it('in its sandbox reaches nothing by the names that it asked for, though two led to one address', async () => {
    await machine.start({ options: await site() })
    const policy = allowing({ host: 'one.test', ports: [80] }, { host: 'two.test', ports: [443] })
    await machine.pod('keeper', { policy })
    await machine.pod('x', { policy })
    await resolve('x', 'one.test', 'two.test')
    await machine.remove('x')
    await machine.pod('x', { policy })
    await expectDenied('x', 80, 443)
  })

  it('reaches nothing either when another process answered it', async () => {
    const options = await site()
    await machine.start({ options })
    const other = await another(options)
    const policy = allowing({ host: 'one.test', ports: [80] })
    await machine.pod('x', { policy })
    for (const id of ['keeper', 'x']) await other.setUpPod(machine.sandbox(id, { policy }), never())
    await resolve('x', 'one.test')
    await machine.remove('x')
    await other.setUpPod(machine.sandbox('x', { policy }), never())
    await expectDenied('x', 80)
    // Nor is it led to who answers pods with names, when it has none.
    await other.tearDownPod({ namespace: 'test', name: 'x', sandboxId: 'x' }, never())
    await machine.pod('x', { policy: allowing({ cidr: '192.0.2.0/24' }) })
    await other.setUpPod(machine.sandbox('x', { policy }), never())
    const link = machine.linkOf('x')
    await machine.remove('x')
    expect(run('nft', ['list', 'map', 'inet', machine.table, 'resolvers4'])).not.toContain(link)
    await other.tearDownPod({ namespace: 'test', name: 'keeper', sandboxId: 'keeper' }, never())
  })

  it.each(['its policy is changed', 'its rules are put back'])(
    'that another process set up reaches nothing by what the earlier one asked for, when %s by who answered that',
    async (what) => {
      const options = await site()
      await machine.start({ options })
      const other = await another(options)
      const policy = allowing({ host: 'one.test', ports: [80] })
      await machine.pod('x', { policy })
      await resolve('x', 'one.test')
      await other.tearDownPod({ namespace: 'test', name: 'x', sandboxId: 'x' }, never())
      await other.setUpPod(machine.sandbox('x', { policy }), never())
      await expectDenied('x', 80)
      if (what === 'its policy is changed') await machine.again('x', { policy: allowing({ host: '*.test' }) })
      else {
        run('nft', ['flush', 'ruleset'])
        await machine.plugin.event('repair', {})
      }
      await expectDenied('x', 80)
      await resolve('x', 'one.test')
      await other.tearDownPod({ namespace: 'test', name: 'x', sandboxId: 'x' }, never())
    },
  )

  it.each(['reset', 'pod CIDR'] as const)(
    'is not spoken to by who spoke to its address while that was nobody’s, after another %s',
    async (what) => {
      const address = '10.88.0.9'
      const client = `client-${process.pid}`
      const inside = (name: string, ...args: string[]) => run('ip', ['-n', name, ...args])
      const closed: Policy = { egress: { default: 'deny' }, ingress: { default: 'deny' } }
      const outside = await machine.outside()
      // A host beyond the default route that has the address, and a client of it on another link.
      const beyond = basename(machine.netnsOf('outside'))
      inside(beyond, 'addr', 'add', `${address}/32`, 'dev', 'lo')
      inside(beyond, 'link', 'set', 'lo', 'up')
      inside(beyond, 'route', 'add', '203.0.113.0/24', 'via', '192.0.2.1')
      run('ip', ['route', 'add', 'default', 'via', '192.0.2.2'])
      run('ip', ['netns', 'add', client])
      run('ip', ['link', 'add', 'up1', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', client])
      onTestFinished(() => {
        run('ip', ['link', 'del', 'up1'])
        run('ip', ['netns', 'del', client])
      })
      run('ip', ['addr', 'add', '203.0.113.1/24', 'dev', 'up1'])
      run('ip', ['link', 'set', 'up1', 'up'])
      inside(client, 'addr', 'add', '203.0.113.2/24', 'dev', 'eth0')
      inside(client, 'link', 'set', 'eth0', 'up')
      inside(client, 'route', 'add', 'default', 'via', '203.0.113.1')

      const plugin = await machine.start()
      await machine.pod('first', { policy: closed })
      await machine.remove('first')
      if (what === 'reset') await plugin.event('reset', {})
      else {
        await plugin.event('pod-cidr-change', { 'pod-cidr': '10.77.0.0/16' })
        await machine.pod('elsewhere', { policy: closed })
        await machine.remove('elsewhere')
      }
      await outside.serve('udp', 4444, 'outside', address)
      const peer = await machine.peerIn(`/run/netns/${client}`)
      expect(await peer.ask('udp', address, 4444, { localPort: 1000 })).toMatch(/^outside/)
      if (what === 'pod CIDR') await plugin.event('pod-cidr-change', { 'pod-cidr': '10.88.0.0/16,fd88::/64' })
      await machine.pod('heir', { policy: closed, annotations: { 'podwire.dev/ip': address } })
      await (await machine.peer('heir')).serve('udp', 4444, 'heir')
      const speak = (timeout: number) => peer.ask('udp', address, 4444, { localPort: 1000, timeout })
      expect(await speak(800)).toBe('timeout')
      // Nothing but its policy keeps them from each other.
      await machine.again('heir', { annotations: { 'podwire.dev/ip': address } })
      expect(await speak(5_000)).toMatch(/^heir/)
    },
  )

  it.each([
    [
      'what it sent',
      'to',
      { ingress: { default: 'deny', allow: [{ pod: { annotations: { app: 'web' } } }] } },
    ],
    ['what was sent to it', 'from', allowing({ pod: { annotations: { app: 'web' } } })],
  ] satisfies [string, string, Policy][])(
    'goes on with nothing of %s, without a policy of its own, %s a pod whose policy does not allow that',
    async (_what, way, policy) => {
      const [db, web] = ['10.88.0.9', '10.88.0.20']
      await machine.start()
      await machine.pod('db', { policy, annotations: { 'podwire.dev/ip': db } })
      const inDb = await machine.peer('db')
      await inDb.serve('udp', 7000, 'db')

      async function come(id: string, app: string) {
        await machine.pod(id, { annotations: { app, 'podwire.dev/ip': web } })
        const peer = await machine.peer(id)
        await peer.serve('udp', 7000, id)
        const [from, to] = way === 'to' ? [peer, db] : [inDb, web]
        const answer = await from.ask('udp', to, 7000, { localPort: 4444, timeout: 700 })
        peer.stop()
        return answer
      }
      expect(await come('web', 'web')).toMatch(/^(db|web)/)
      await machine.remove('web')
      expect(await come('heir', 'heir')).toMatch(REFUSED)
    },
  )
})
