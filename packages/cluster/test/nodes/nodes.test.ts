import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { beforeAll, describe, expect, test } from 'vitest'
import { builtCommandLine } from '../../../../.dev/built-workspace.ts'
import { hasEtcd, until } from '../../../../.dev/etcd-server.ts'
import { keysOf } from '../../src/layout/keys.ts'
import { formatNodeValue } from '../../src/layout/lease-value.ts'
import { bootTime } from '../../src/leases/clock.ts'
import { writeNetwork } from '../../src/leases/network.ts'
import { vtepMacOf } from '../../src/routes/vxlan-link.ts'
import { useEtcd } from '../etcd/use-etcd.ts'
import { startProxy } from '../faults/proxy.ts'
import { afterThis, stateDir } from '../leases/members.ts'
import { type CheckerOptions, watchMachines } from './checker.ts'
import {
  type Cut,
  ETCD_ADDRESS,
  type Machine,
  makeLink,
  makeMachine,
  PROXY_ADDRESS,
  plugIn,
} from './machines.ts'

// All of them take a quarter of an hour: npm run test:faults -- --cluster.
const isWhole = process.env['PODWIRE_FAULTS'] === 'all'
const times = (few: number, all: number) => (isWhole ? all : few)
const leaseSeconds = 6
/** Debian's faketime, for a process that is to take the time of day for another one. */
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'
const hasFaketime = existsSync(FAKETIME)

describe.skipIf(!isIsolated() || !hasEtcd)('machines whose daemons share a network', () => {
  let commandLine = ''
  let prefix = ''

  beforeAll(async () => {
    makeLink()
    commandLine = builtCommandLine()
  })
  // On that link.
  const etcd = useEtcd(1, { address: ETCD_ADDRESS })

  /** Machines on the link, looked at until the test ends; none has a daemon yet. */
  async function machines(
    count: number,
    { backend = 'vxlan', endpoint = etcd.server.endpoint, more = () => ({}), ...options }: Setting = {},
  ) {
    prefix = etcd.nextPrefix()
    await writeNetwork(etcd.client, keysOf(prefix), {
      network: '10.244.0.0/16',
      backend:
        backend === 'vxlan' ? { type: 'vxlan', vni: 1, port: 8472, directRouting: false } : { type: backend },
    })
    const all: Machine[] = []
    for (let number = 1; number <= count; number++) {
      const cluster = {
        etcd: { endpoints: [endpoint], prefix },
        interface: 'eth0',
        leaseTTL: `${leaseSeconds}s`,
        ...more(number),
      }
      const machine = makeMachine(number, { commandLine, config: { networkPlugin: 'kubenet', cluster } })
      await plugIn(machine, number)
      all.push(machine)
    }
    const checker = watchMachines({ etcd: etcd.client, prefix, machines: all, backend, ...options })
    /** Every kernel has what the leases say. */
    const settled = async () => {
      await until(async () => (await Promise.all(all.map(isReady))).every((ready) => ready))
      const from = checker.looks()
      await until(
        () => checker.looks() > from + 1 && checker.differences().length === 0,
        'kernels are as leases say',
      )
    }
    const startAll = async () => {
      await Promise.all(all.map((one) => one.start()))
      await settled()
    }
    return { all, checker, settled, startAll }
  }

  interface Setting extends Partial<Pick<CheckerOptions, 'backend' | 'theftMs'>> {
    readonly endpoint?: string
    /** More of what a machine's `cluster` has. */
    readonly more?: (number: number) => object
  }

  /** Leases of nodes that are none, which come and go until the test ends. */
  async function churn(everyMs: number): Promise<void> {
    let isOver = false
    const { id } = await etcd.client.grant(3_600)
    const running = (async () => {
      for (let at = 0; !isOver; at++) {
        const n = at % 20
        const key = `${prefix}/subnets/10.244.${200 + n}.0-24`
        const value = formatNodeValue(
          {
            nodeName: `other-${n}`,
            publicIP: `198.51.100.${n + 1}`,
            backendType: 'vxlan',
            vtepMac: vtepMacOf(`other-${n}`, 1, 4),
          },
          1,
        )
        const isThere = Math.random() < 0.5
        await etcd.client.transaction([], [isThere ? { put: key, value, lease: id } : { delete: key }])
        await new Promise((resolve) => setTimeout(resolve, everyMs))
      }
    })()
    afterThis(async () => {
      isOver = true
      await running
    })
  }

  const isReady = async (machine: Machine) => {
    if (!machine.isRunning) return true
    const status = await machine.ask('GET', '/v1/status').catch(() => undefined)
    return machine.podCIDR() !== undefined && status?.body.readiness.ready === true
  }

  const allReach = async (machines: readonly Machine[]) => {
    const pods = await Promise.all(machines.map((one) => one.pod('web')))
    const pairs = pods.flatMap((from) => pods.filter((to) => to !== from).map((to) => ({ from, to })))
    for (const { from, to } of pairs) await until(() => from.reaches(to.ip), `a pod reaches ${to.ip}`)
    return pods
  }

  test(`keep pods, leases and routes when daemons are killed at ${times(8, 100)} instants`, async () => {
    // Long enough for daemons that are killed before they could renew it.
    const { all, checker, settled, startAll } = await machines(3, { more: () => ({ leaseTTL: '60s' }) })
    await startAll()
    const pods = await allReach(all)
    const had = all.map((one) => one.podCIDR())
    await churn(60)
    for (let kill = 0; kill < times(8, 100); kill++) {
      const one = all[kill % all.length]! // of three
      // From before it has read its configuration to well after its routes are made.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_500))
      await one.kill()
      // What it made stays, and pods reach each other by it; on a machine that is busy an answer may be late.
      expect([1, 2, 3].some(() => pods[0]?.reaches(pods[1]?.ip ?? ''))).toBe(true)
      one.spawn()
      // Its kernel is what the one before left, until it has looked at it.
      checker.expect(one)
    }
    await settled()
    expect(all.map((one) => one.podCIDR())).toEqual(had)
    expect(checker.violations).toEqual([])
    expect(all.map((one) => one.log()).join('')).not.toContain('"level":"fatal"')
  }, 1_200_000)

  const cuts: readonly Cut[] = (['etcd', 'nodes', 'all'] as const).flatMap((from) =>
    (['both', 'in', 'out'] as const).map((way) => ({ from, way })),
  )
  const few = ['etcd both', 'nodes in', 'all out']
  test.each(isWhole ? cuts : cuts.filter(({ from, way }) => few.includes(`${from} ${way}`)))(
    'go on when one is cut off from $from ($way), and are together again afterwards',
    async (cut) => {
      const { all, checker, settled, startAll } = await machines(3)
      await startAll()
      const pods = await allReach(all)
      const had = all.map((one) => one.podCIDR())
      const [first, , third] = all as [Machine, Machine, Machine]
      checker.excuse(third)
      third.cut(cut)
      const began = bootTime()
      if (cut.from === 'nodes') {
        await until(() => bootTime() > began + 1.5 * leaseSeconds * 1_000)
        expect(pods[0]?.reaches(pods[2]?.ip ?? '')).toBe(false)
        expect(third.podCIDR()).toBe(had[2])
      } else {
        let endsAt = 0
        await until(() => {
          if (third.podCIDR() === undefined) return true
          endsAt = third.record()?.lease?.endsAt ?? endsAt
          return false
        })
        await until(() => third.sh('ip route show proto 80') === '')
        expect(bootTime()).toBeLessThan(endsAt)
        const refused = await third.ask('PUT', '/v1/pods/demo/late', {})
        expect(refused).toMatchObject({ status: 503, body: { error: { code: 'NOT_IN_CLUSTER' } } })
        // Not long before its lease ends, counted from the last that could be renewed.
        expect(bootTime() - began).toBeGreaterThan(leaseSeconds * 400)
        await until(() => !first.sh('ip route show proto 80').includes(had[2] ?? ''))
      }
      expect(pods[0]?.reaches(pods[1]?.ip ?? '')).toBe(true)
      third.mend()
      await until(() => third.podCIDR() !== undefined)
      checker.expect(third)
      await settled()
      expect(all.map((one) => one.podCIDR())).toEqual(had)
      await allReach(all)
      expect(checker.violations).toEqual([])
    },
  )

  test('whose daemon is stopped past its lease lets nothing through meanwhile and when it goes on, and joins again', async () => {
    const { all, checker, settled, startAll } = await machines(3)
    await startAll()
    const pods = await allReach(all)
    const had = all[2]!.podCIDR()
    const third = all[2]!
    // What comes from its pods at another node, and what its pods send to them.
    const [, second] = all as [Machine, Machine]
    second.sh(
      `nft 'table inet seen { counter c { }; chain in { type filter hook prerouting priority -400; ip saddr ${pods[2]?.ip} counter name c; }; }'`,
    )
    const seen = () => Number(/packets (\d+)/.exec(second.sh('nft list counter inet seen c'))?.[1])
    expect(pods[2]?.reaches(pods[1]?.ip ?? '')).toBe(true)
    expect(seen()).toBeGreaterThan(0)
    third.signal('SIGSTOP')
    // Somebody else has its pod CIDR by then.
    await until(async () => (await etcd.client.get(keyOf(had))) === undefined)
    const { id } = await etcd.client.grant(3_600)
    const value = formatNodeValue(
      {
        nodeName: 'other',
        publicIP: '198.51.100.9',
        backendType: 'vxlan',
        vtepMac: vtepMacOf('other', 1, 4),
      },
      1,
    )
    await etcd.client.transaction([], [{ put: keyOf(had), value, lease: id }])
    const before = seen()
    expect(third.sh('ip route show proto 80')).not.toBe('')
    expect(pods[2]?.reaches(pods[1]?.ip ?? '')).toBe(false)
    const pinging = pods[2]!.sendTo(pods[1]?.ip ?? '')
    // So that it stays fenced, and its pods' packets can be waited for.
    const { config } = keysOf(prefix)
    const shared = await etcd.client.get(config)
    await etcd.server.ctl('put', config, '{}')
    third.signal('SIGCONT')
    const answered = await third.ask('PUT', '/v1/pods/demo/late', {})
    expect(answered).toMatchObject({ status: 503, body: { error: { code: 'NOT_IN_CLUSTER' } } })
    await until(() => third.sh('ip route show proto 80') === '')
    expect(third.log()).toContain('is fenced')
    expect(await pinging.end()).toBeGreaterThan(2)
    expect(seen()).toBe(before)
    await etcd.server.ctl('put', config, shared?.value ?? '')
    await settled()
    expect(third.podCIDR()).not.toBe(had)
    const fresh = await third.pod('fresh')
    await until(() => fresh.reaches(pods[1]?.ip ?? ''))
    await allReach(all.slice(0, 2))
    expect(checker.violations).toEqual([])
  })

  test('keep their leases when an etcd answers half a second late', async () => {
    const way = await startProxy(etcd.server.endpoint, PROXY_ADDRESS)
    const { all, checker, settled, startAll } = await machines(2, {
      endpoint: way.endpoint,
      more: () => ({ leaseTTL: '10s' }),
    })
    way.set('slow')
    await startAll()
    const began = bootTime()
    // Several renewals, each of which has to come in time.
    await until(() => bootTime() > began + times(11_000, 40_000))
    await settled()
    expect(all.map((one) => one.log()).join('')).not.toContain('is fenced')
    await allReach(all)
    expect(checker.violations).toEqual([])
  })

  test.skipIf(!hasFaketime)('keep their leases when the time of day is set', async () => {
    const { all, checker, settled } = await machines(2)
    // A machine has a /run of its own.
    const file = join(stateDir(), 'time-of-day')
    writeFileSync(file, '+0d')
    const env = {
      LD_PRELOAD: FAKETIME,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
    await all[0]!.start(env)
    await all[1]!.start()
    await settled()
    const had = all.map((one) => one.podCIDR())
    for (const jump of isWhole ? ['+400d', '-400d', '+1d', '-1d'] : ['+400d', '-400d']) {
      writeFileSync(file, jump)
      const before = all[0]!.record()?.lease?.endsAt ?? 0
      // It is renewed all the same, twice.
      for (let renewals = 0, last = before; renewals < 2; renewals++) {
        await until(() => (all[0]!.record()?.lease?.endsAt ?? 0) > last)
        last = all[0]!.record()?.lease?.endsAt ?? 0
      }
      await all[0]!.pod(`at${jump.replace('+', '-and-')}`)
    }
    // It did see the other times.
    const years = new Set([...all[0]!.log().matchAll(/"time":"(\d{4})-/g)].map(([, year]) => year))
    expect(years.size).toBeGreaterThan(1)
    await settled()
    expect(all.map((one) => one.podCIDR())).toEqual(had)
    expect(all.map((one) => one.log()).join('')).not.toContain('is fenced')
    await allReach(all)
    expect(checker.violations).toEqual([])
  })

  test.each([
    ['deleted', (key: string) => etcd.server.ctl('del', key)],
    ['overwritten with garbage', (key: string) => etcd.server.ctl('put', key, 'garbage {')],
    [
      'stolen',
      (key: string) => etcd.server.ctl('put', key, '{"PublicIP":"198.51.100.66","BackendType":"vxlan"}'),
    ],
  ])('one whose lease is %s is fenced at once, and joins again', async (how, harm) => {
    const { all, checker, settled, startAll } = await machines(2, { theftMs: 1_000 })
    await startAll()
    await allReach(all)
    const had = all[0]!.podCIDR()
    await harm(keyOf(had))
    await until(() => all[0]!.log().includes('is fenced'))
    await until(() => all[0]!.podCIDR() !== undefined)
    await settled()
    if (how === 'deleted') expect(all[0]!.podCIDR()).toBe(had)
    else expect(all[0]!.podCIDR()).not.toBe(had)
    const fresh = await all[0]!.pod('fresh')
    const other = await all[1]!.pod('web')
    await until(() => fresh.reaches(other.ip))
    // The thief is no node of the test, and what it writes is taken from the leases.
    expect(checker.violations.filter((one) => !one.includes(': from '))).toEqual([])
  })

  test.each([
    ['name', { nodeName: 'node-1' }, 'a node of that name at 192.0.2.1 has'],
    ['public address', { publicIP: '192.0.2.1' }, 'that of node node-1'],
  ])('of two with one %s the second is refused, and says who the first is', async (_what, more, said) => {
    const { all, checker } = await machines(2, { more: (number) => (number === 2 ? more : {}) })
    await all[0]!.start()
    await all[1]!.start()
    const { body } = await all[1]!.ask('GET', '/v1/status')
    expect(body.readiness).toMatchObject({ ready: false, reason: expect.stringContaining(said) })
    expect((await all[1]!.ask('PUT', '/v1/pods/demo/web', {})).status).toBe(503)
    await all[0]!.pod('web')
    expect(all[0]!.podCIDR()).toBe('10.244.1.0/24')
    expect(checker.violations).toEqual([])
  })

  test(`${times(6, 20)} that start at once have a pod CIDR each, and ways to all others`, async () => {
    const { all, checker, startAll } = await machines(times(6, 20), {
      backend: 'host-gw',
      more: () => ({ leaseTTL: '60s' }),
    })
    await startAll()
    expect(new Set(all.map((one) => one.podCIDR())).size).toBe(all.length)
    expect(checker.violations).toEqual([])
  })

  test('are looked at: what no lease says is told, and what is of two', async () => {
    const { all, checker } = await machines(1, { more: () => ({ leaseTTL: '10m' }) })
    await all[0]!.start()
    await until(() => all[0]!.podCIDR() !== undefined)
    all[0]!.signal('SIGSTOP')
    all[0]!.sh('ip route add 10.244.77.0/24 via 192.0.2.254 proto 80')
    // Its daemon would take it away: it is believed to run, and does not.
    Object.defineProperty(all[0], 'isRunning', { value: true })
    await until(() => checker.violations.some((one) => one.includes('has route 10.244.77.0/24')))
    const other = JSON.stringify({ PublicIP: '198.51.100.9', BackendType: 'vxlan', NodeName: 'other' })
    await etcd.server.ctl('put', `${prefix}/subnets/10.244.0.0-22`, other)
    await etcd.server.ctl('put', keyOf(all[0]!.podCIDR()), other)
    await until(() => checker.violations.some((one) => one.includes('believes')))
    expect(checker.violations.filter((one) => one.startsWith(prefix))).toHaveLength(3)
  })

  const keyOf = (podCIDR = '') => `${prefix}/subnets/${podCIDR.replace('/', '-')}`
})
