import { type ChildProcess, spawn } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { type EtcdMember, hasEtcd, startEtcd, until } from '../../../../.dev/etcd-server.ts'
import { openEtcd } from '../../src/etcd/client.ts'
import { keysOf } from '../../src/layout/keys.ts'
import { bootTime } from '../../src/leases/clock.ts'
import { keepLeaseTable } from '../../src/leases/lease-table.ts'
import { writeNetwork } from '../../src/leases/network.ts'
import { useEtcd } from '../etcd/use-etcd.ts'
import { afterThis, member, stateDir, watchLeases } from '../leases/members.ts'
import { type Passage, startProxy } from './proxy.ts'

// All of them take a quarter of an hour: npm run test:faults -- --cluster.
const isWhole = process.env['PODWIRE_FAULTS'] === 'all'
const times = (few: number, all: number) => (isWhole ? all : few)

describe.skipIf(!hasEtcd)('whatever happens, no pod CIDR is of two nodes', () => {
  const etcd = useEtcd(3)
  let prefix = ''

  /** A network of this test's own, watched for its whole time. */
  async function network(cidr = '10.244.0.0/16') {
    prefix = etcd.nextPrefix()
    await writeNetwork(etcd.client, keysOf(prefix), { network: cidr, backend: { type: 'host-gw' } })
    const { revision } = await etcd.client.list(`${prefix}/`)
    const watching = watchLeases(etcd.client, prefix, revision)
    afterThis(watching.stop)
    return watching
  }
  const node = (options: Parameters<typeof member>[1] & { endpoints?: string[] } = {}) =>
    member(options.endpoints ?? etcd.endpoints, { prefix, ...options })

  function processOf(
    nodeName: string,
    publicIP: string,
    dir: string,
    leaseTtl = 5,
    endpoint = etcd.server.endpoint,
  ) {
    const script = new URL('member-process.ts', import.meta.url).pathname
    const args = ['--import', new URL('../../../../.dev/run-source.mjs', import.meta.url).pathname, script]
    const child: ChildProcess = spawn(
      process.env['PODWIRE_TEST_NODE'] ?? process.execPath,
      [...args, endpoint, prefix, nodeName, publicIP, dir, String(leaseTtl)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const lines: { readonly at: number; readonly text: string }[] = []
    let rest = ''
    child.stdout?.on('data', (chunk) => {
      const all = (rest + chunk).split('\n')
      rest = all.pop() ?? ''
      lines.push(...all.map((text) => ({ at: bootTime(), text })))
    })
    const kill = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    }
    afterThis(kill)
    return { child, lines, kill, said: (text: string) => lines.some((line) => line.text.startsWith(text)) }
  }

  test(`two that race for the last one: one has it, the other is told (${times(20, 200)} rounds)`, async () => {
    const watching = await network('10.244.0.0/23')
    for (let round = 0; round < times(20, 200); round++) {
      const pair = [node({ leaseTtl: 60, renewBefore: 30 }), node({ leaseTtl: 60, renewBefore: 30 })]
      await Promise.all(pair.map((one) => one.attempted))
      await until(
        () =>
          pair.some((one) => one.holds()) && pair.some((one) => one.membership.reason?.includes('is free')),
      )
      expect(pair.filter((one) => one.holds())).toHaveLength(1)
      await Promise.all(pair.map((one) => one.stop({ release: true })))
    }
    expect(watching.violations).toEqual([])
    await until(() => watching.puts() >= times(20, 200))
  })

  test.each<Passage>(['silent', 'refused'])(
    'one that is cut off from etcd (%s) is fenced before another one has its pod CIDR, and comes back',
    async (passage) => {
      const watching = await network('10.244.0.0/23')
      const way = await startProxy(etcd.server.endpoint)
      const cut = node({ endpoints: [way.endpoint], leaseTtl: 6, renewBefore: 3 })
      await until(() => cut.holds())
      const waiting = node({ leaseTtl: 6, renewBefore: 3 })
      way.set(passage)
      await until(() => waiting.holds())
      expect(cut.holds()).toBe(false)
      expect(cut.history.map(({ state }) => state)).toEqual(['joined', 'fenced'])
      way.set('open')
      await waiting.stop({ release: true })
      await until(() => cut.holds())
      expect(watching.violations).toEqual([])
    },
  )

  test('one whom no answer of etcd reaches is fenced, and comes back', async () => {
    const watching = await network('10.244.0.0/23')
    const way = await startProxy(etcd.server.endpoint)
    const cut = node({ endpoints: [way.endpoint], leaseTtl: 6, renewBefore: 3 })
    await until(() => cut.holds())
    // What it asks is done, though it doesn't hear of it: it may keep its pod CIDR from others that way, and gives it to no pod.
    way.set('answers-lost')
    const waiting = node({ leaseTtl: 6, renewBefore: 3 })
    await until(() => !cut.holds())
    way.set('open')
    await until(() => cut.holds() !== waiting.holds())
    expect(cut.history.map(({ state }) => state).slice(0, 2)).toEqual(['joined', 'fenced'])
    expect(watching.violations).toEqual([])
  })

  test('one whose way to etcd takes half a second joins and stays', async () => {
    const watching = await network()
    const way = await startProxy(etcd.server.endpoint)
    way.set('slow')
    const slow = node({ endpoints: [way.endpoint], leaseTtl: 20, renewBefore: 17 })
    await until(() => slow.holds())
    const first = slow.membership.state === 'joined' ? slow.membership.lease.endsAt! : 0
    await until(() => slow.membership.state === 'joined' && slow.membership.lease.endsAt! > first)
    expect(slow.history).toHaveLength(1)
    expect(watching.violations).toEqual([])
  })

  test('one that is stopped past its lease, and goes on, holds nothing any more', async () => {
    const watching = await network('10.244.0.0/23')
    const stopped = processOf('stopped', '192.0.2.1', stateDir())
    await until(() => stopped.said('holds'))
    stopped.child.kill('SIGSTOP')
    const next = node({ leaseTtl: 60, renewBefore: 30 })
    await until(() => next.holds())
    const takenAt = bootTime()
    stopped.child.kill('SIGCONT')
    await until(() => stopped.said('fenced'))
    expect(next.holds()).toBe(true)
    const late = stopped.lines.filter(({ at, text }) => at > takenAt + 50 && text.startsWith('holds'))
    expect(late).toEqual([])
    expect(watching.violations).toEqual([])
  })

  test(`one that is killed at any instant has the same again (${times(5, 100)} times)`, async () => {
    const watching = await network()
    const dir = stateDir()
    const cidrs = new Set<string>()
    for (let kill = 0; kill < times(5, 100); kill++) {
      const one = processOf('killed', '192.0.2.1', dir, 5)
      // From before it joined to well after.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_500))
      await one.kill()
      for (const { text } of one.lines) if (text.startsWith('joined')) cidrs.add(text)
    }
    const last = processOf('killed', '192.0.2.1', dir, 5)
    await until(() => last.said('holds'))
    for (const { text } of last.lines) if (text.startsWith('joined')) cidrs.add(text)
    expect([...cidrs]).toEqual(['joined 10.244.1.0/24'])
    expect(watching.violations).toEqual([])
  })

  test('all stay while one member of etcd after the other is killed, its leader among them', async () => {
    const watching = await network()
    const nodes = Array.from({ length: 5 }, () => node({ leaseTtl: 10, renewBefore: 8 }))
    await until(() => nodes.every((one) => one.holds()))
    for (const one of etcd.members) {
      await one.kill()
      const began = bootTime()
      await until(() => bootTime() > began + 3_000)
      await one.restart()
    }
    expect(nodes.flatMap((one) => one.history.map(({ state }) => state))).toEqual(nodes.map(() => 'joined'))
    expect(watching.violations).toEqual([])
  })

  test('what happened while etcd forgot it is found by listing again', async () => {
    await network()
    const way = await startProxy(etcd.server.endpoint)
    const own = openEtcd({ endpoints: [way.endpoint] })
    const keys = keysOf(prefix)
    const seen: string[] = []
    const log = { debug() {}, info: (text: string) => void seen.push(text), warn() {}, error() {} }
    const table = keepLeaseTable({ etcd: own, keys, log, onChanges: () => {} })
    afterThis(async () => {
      await table.stop()
      own.close()
    })
    const [first, second] = [node(), node()]
    await until(() => table.entries?.size === 2)
    way.set('refused')
    await first.stop({ release: true })
    const third = node()
    await until(() => third.holds() && second.holds())
    const { revision } = await etcd.client.list(keys.subnets)
    await etcd.server.ctl('compact', String(revision))
    way.set('open')
    await until(() => seen.some((text) => text.includes('forgotten')))
    const there = [second, third].map((one) => one.podCIDR()?.replace('/', '-'))
    await until(() =>
      there.every((name) => table.entries?.has(`${keys.subnets}${name}`) && table.entries.size === 2),
    )
  })
})

describe.skipIf(!hasEtcd)('an etcd', () => {
  test('that is full renews leases all the same', async () => {
    const [server] = (await startEtcd(1, { args: ['--quota-backend-bytes', '1000000'] })) as [EtcdMember]
    const etcd = openEtcd({ endpoints: [server.endpoint] })
    afterThis(() => etcd.close())
    await writeNetwork(etcd, keysOf('/test'), { network: '10.244.0.0/16', backend: { type: 'host-gw' } })
    const one = member([server.endpoint], { leaseTtl: 6, renewBefore: 4 })
    await until(() => one.holds())
    const big = 'x'.repeat(200_000)
    for (let at = 0; at < 50; at++) {
      const isFull = await etcd.transaction([], [{ put: `/big/${at}`, value: big }]).then(
        () => false,
        () => true,
      )
      if (isFull) break
    }
    await expect(etcd.transaction([], [{ put: '/more', value: 'x' }])).rejects.toMatchObject({
      code: 'ETCD_REFUSED',
    })
    const first = one.membership.state === 'joined' ? one.membership.lease.endsAt! : 0
    await until(() => bootTime() > first + 1_000)
    expect(one.history.map(({ state }) => state)).toEqual(['joined'])
    expect(one.holds()).toBe(true)
  })

  test('that lost everything fences all, and they join anew', async () => {
    const [server] = (await startEtcd()) as [EtcdMember]
    const etcd = openEtcd({ endpoints: [server.endpoint] })
    afterThis(() => etcd.close())
    const keys = keysOf('/test')
    const shared = { network: '10.244.0.0/16', backend: { type: 'host-gw' } } as const
    // So that it counts less afterwards than before.
    for (let at = 0; at < 50; at++) await etcd.transaction([], [{ put: '/count', value: String(at) }])
    await writeNetwork(etcd, keys, shared)
    const one = member([server.endpoint], { leaseTtl: 600, renewBefore: 300 })
    await until(() => one.holds())
    await server.restart({ empty: true })
    await until(() => one.membership.state === 'fenced')
    await writeNetwork(etcd, keys, shared)
    await until(() => one.podCIDR() === '10.244.1.0/24')
  })
})
