import { watch, writeFileSync } from 'node:fs'
import type { DeniedFlow, Policy, PolicyRule } from '@podwire/api'
import { writeSysctl } from '@podwire/netlink'
import { expect, it } from 'vitest'
import { describeIsolated, nothing, run, useMachine } from '../support/machine.ts'

const allowing = (...allow: PolicyRule[]): Policy => ({ egress: { default: 'deny', allow } })
const denying = (...deny: PolicyRule[]): Policy => ({ egress: { default: 'allow', deny } })
const letting = (...allow: PolicyRule[]): Policy => ({ ingress: { default: 'deny', allow } })

// Refused by the host, in either family.
const REFUSED = /^(EHOSTUNREACH|EACCES)$/

describeIsolated('a policy in the kernel', () => {
  const machine = useMachine()
  const deniedFlows = () =>
    machine.host.reports
      .filter(({ event }) => event === 'flow:denied')
      .map(({ details }) => details as unknown as DeniedFlow)

  /** `pod` with a policy, `other` without; servers outside, on the host and in `other`. */
  async function start(policy: Policy) {
    const outside = await machine.outside()
    await machine.start()
    await machine.pod('other')
    await machine.pod('pod', { policy })
    const [host, other, pod] = await Promise.all([machine.peer(), machine.peer('other'), machine.peer('pod')])
    for (const peer of [outside, host, other]) {
      const label = peer === outside ? 'outside' : peer === host ? 'host' : 'other'
      for (const port of [80, 443]) await peer.serve('tcp', port, label)
      await peer.serve('udp', 80, label)
    }
    return { outside, host, other, pod }
  }

  it('lets a pod reach what it allows, in both families and by every protocol, and nothing else', async () => {
    const { pod, outside } = await start(
      allowing({ cidr: '192.0.2.0/24', except: ['192.0.2.3/32'], ports: [80] }, { cidr: '2001:db8::2/128' }),
    )
    expect(await pod.ask('tcp', '192.0.2.2', 80)).toMatch(/^outside/)
    expect(await pod.ask('udp', '192.0.2.2', 80)).toMatch(/^outside/)
    expect(await pod.ask('tcp', '2001:db8::2', 443)).toMatch(/^outside/)
    expect(await pod.ask('tcp', '192.0.2.2', 443)).toMatch(REFUSED)
    expect(await pod.ask('tcp', '192.0.2.3', 80)).toMatch(REFUSED)
    expect(await pod.ask('tcp', '10.99.0.2', 80)).toMatch(REFUSED)
    expect(await pod.ask('udp', '10.99.0.2', 80, { timeout: 500 })).toMatch(/^(timeout|EHOSTUNREACH)$/)
    expect(await pod.ask('tcp', '10.88.0.2', 80)).toMatch(REFUSED)
    expect(await pod.ask('tcp', 'fd88::2', 80)).toMatch(REFUSED)
    for (const address of ['10.88.0.1', '10.99.0.1', 'fd88::1', '2001:db8::1'])
      expect(await pod.ask('tcp', address, 80), address).toMatch(REFUSED)
    // Who may reach it is the other side.
    await pod.serve('tcp', 7000, 'pod')
    expect(await outside.ask('tcp', '10.88.0.3', 7000)).toBe('pod 10.99.0.2')
  })

  it('lets a pod reach all but what it denies', async () => {
    const { pod } = await start(
      denying({ cidr: '192.0.2.0/24', ports: ['400-500'] }, { gateway: true }, { pod: '*/other' }),
    )
    expect(await pod.ask('tcp', '192.0.2.2', 80)).toMatch(/^outside/)
    expect(await pod.ask('tcp', '192.0.2.2', 443)).toMatch(REFUSED)
    expect(await pod.ask('tcp', '10.99.0.2', 443)).toMatch(/^outside/)
    for (const address of ['10.88.0.1', '192.0.2.1', '10.88.0.2', 'fd88::2', '2001:db8::1'])
      expect(await pod.ask('tcp', address, 80), address).toMatch(REFUSED)
  })

  it('of a family that the pod has no address of, of rules that overlap, and of one that is there twice, says what the others say', async () => {
    const outside = await machine.outside()
    for (const port of [80, 443]) await outside.serve('tcp', port, 'outside')
    await machine.start({ podCIDR: '10.88.0.0/16' })
    const rule: PolicyRule = { cidr: '192.0.2.2/32', ports: [80, '80-90', '85-100'] }
    const others: PolicyRule[] = [
      { cidr: 'fd00::/8' },
      { cidr: '::/0', ports: [443] },
      { cidr: '192.0.0.0/8', ports: [80] },
    ]
    await machine.pod('pod', {
      policy: {
        egress: { default: 'deny', allow: [rule, rule, ...others, { pod: '*/*', ports: [1, '1-9', 5] }] },
        ingress: { default: 'deny', allow: [{ cidr: 'fd00::/8' }] },
      },
    })
    const pod = await machine.peer('pod')
    expect(await pod.ask('tcp', '192.0.2.2', 80)).toMatch(/^outside/)
    expect(await pod.ask('tcp', '192.0.2.2', 443)).toMatch(REFUSED)
    await pod.serve('tcp', 80, 'pod')
    expect(await outside.ask('tcp', '10.88.0.2', 80, { timeout: 300 })).toBe('timeout')
    await machine.remove('pod')
    expect(machine.traces()).toEqual(nothing)
  })

  it('of 30,000 rules of all kinds is put in place, holds, and goes', async () => {
    const rules = (make: (n: number) => PolicyRule) => Array.from({ length: 10_000 }, (_, n) => make(n))
    const allow = [
      ...rules((n) => ({ cidr: `10.${n >> 7}.${(n & 127) * 2}.0/24`, ports: [1 + (n % 50)] })),
      ...rules((n) => ({ host: `*.n${n}.test`, ports: [443] })),
      ...rules((n) => ({ pod: `test/n${n}`, ports: [80] })),
      { cidr: '192.0.2.2/32', ports: [80] },
      { pod: 'test/other', ports: [80] },
    ]
    const started = performance.now()
    const { pod } = await start(allowing(...allow))
    // Tens of times what it takes; a look at each rule for each other one takes hours.
    expect(performance.now() - started).toBeLessThan(60_000)
    expect(await pod.ask('tcp', '192.0.2.2', 80)).toMatch(/^outside/)
    expect(await pod.ask('tcp', '192.0.2.2', 443)).toMatch(REFUSED)
    expect(await pod.ask('tcp', '10.88.0.2', 80)).toMatch(/^other/)
    for (const id of ['pod', 'other']) await machine.remove(id)
    expect(machine.traces()).toEqual(nothing)
  }, 120_000)

  it('lets groups of addresses nothing that addresses deny', async () => {
    const { pod } = await start({
      egress: { default: 'deny', allow: [{ pod: '*/*' }, { gateway: true }], deny: [{ ports: [443] }] },
    })
    expect(await pod.ask('tcp', '10.88.0.2', 80)).toMatch(/^other/)
    expect(await pod.ask('tcp', '10.88.0.2', 443)).toMatch(REFUSED)
    expect(await pod.ask('tcp', '10.88.0.1', 80)).toMatch(/^host/)
    expect(await pod.ask('tcp', '10.88.0.1', 443)).toMatch(REFUSED)
  })

  it('lets those reach a pod whom it allows: by address, by published port, other pods, the host', async () => {
    const outside = await machine.outside()
    await machine.start()
    await machine.pod('other')
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }]
    const host = await machine.peer()
    const other = await machine.peer('other')
    await machine.pod('pod', { portMappings, policy: letting() })
    const pod = await machine.peer('pod')
    for (const port of [80, 81]) await pod.serve('tcp', port, 'pod')
    const reached = async () => ({
      outside: await outside.ask('tcp', '10.88.0.3', 80, { timeout: 300 }),
      published: await outside.ask('tcp', '192.0.2.1', 8080, { timeout: 300 }),
      other: await other.ask('tcp', '10.88.0.3', 80, { timeout: 300 }),
      other81: await other.ask('tcp', '10.88.0.3', 81, { timeout: 300 }),
      host: await host.ask('tcp', 'fd88::3', 80, { timeout: 300 }),
      hostPublished: await host.ask('tcp', '192.0.2.1', 8080, { timeout: 300 }),
      hostLoopback: await host.ask('tcp', '127.0.0.1', 8080, { timeout: 300 }),
    })
    const none = {
      outside: 'timeout',
      published: 'timeout',
      other: 'timeout',
      other81: 'timeout',
      host: 'timeout',
      hostPublished: 'timeout',
      hostLoopback: 'timeout',
    }
    expect(await reached()).toEqual(none)
    const allow = async (...rules: PolicyRule[]) => {
      await machine.again('pod', { portMappings, policy: letting(...rules) })
      return reached()
    }
    expect(await allow({ cidr: '10.99.0.0/16' })).toEqual({ ...none, outside: 'pod 10.99.0.2' })
    const byHost = {
      hostPublished: expect.stringMatching(/^pod/),
      hostLoopback: expect.stringMatching(/^pod/),
    }
    expect(await allow({ published: true })).toEqual({ ...none, ...byHost, published: 'pod 192.0.2.2' })
    expect(await allow({ pod: 'test/other', ports: [80] })).toEqual({ ...none, other: 'pod 10.88.0.2' })
    expect(await allow({ gateway: true })).toEqual({ ...none, ...byHost, host: 'pod fd88::1' })
    // What it has begun by a published port is cut too.
    await pod.serveLines(82)
    await machine.again('pod', {
      portMappings: [...portMappings, { hostPort: 8081, containerPort: 82, protocol: 'tcp' as const }],
      policy: letting({ gateway: true }),
    })
    const lines = await host.connectLines('127.0.0.1', 8081)
    expect(await lines.say('one')).toBe('one')
    expect(await allow({ pod: 'test/other' })).toEqual({
      ...none,
      other: 'pod 10.88.0.2',
      other81: 'pod 10.88.0.2',
    })
    expect(await lines.say('two')).toBe('nothing')
    // What it begins itself is answered.
    await outside.serve('tcp', 80, 'outside')
    expect(await pod.ask('tcp', '192.0.2.2', 80)).toMatch(/^outside/)
  })

  it('knows pods by annotations, those that come later and change too, and no longer when they are gone', async () => {
    await machine.start()
    await machine.pod('pod', { policy: allowing({ pod: { annotations: { app: 'db' } } }) })
    const pod = await machine.peer('pod')
    const ask = () => pod.ask('tcp', '10.88.0.3', 80, { timeout: 1000 })
    await machine.pod('db', { annotations: { app: 'db' } })
    await (await machine.peer('db')).serve('tcp', 80, 'db')
    expect(await ask()).toMatch(/^db/)
    await machine.again('db', { annotations: { app: 'web' } })
    expect(await ask()).toMatch(REFUSED)
    await machine.again('db', { annotations: { app: 'db' } })
    expect(await ask()).toMatch(/^db/)
    await machine.remove('db')
    await machine.pod('thief', { annotations: { 'podwire.dev/ip': '10.88.0.3' } })
    await (await machine.peer('thief')).serve('tcp', 80, 'thief')
    expect(await ask()).toMatch(REFUSED)
  })

  it('cuts connections that a change no longer allows, at once, and lets the others go on', async () => {
    const { pod, outside } = await start(allowing({ cidr: '10.99.0.0/16' }))
    await outside.serveLines(7000)
    const lines = await pod.connectLines('10.99.0.2', 7000)
    expect(await lines.say('one')).toBe('one')
    await machine.again('pod', { policy: allowing({ cidr: '10.99.0.2/32', ports: [7000] }) })
    expect(await lines.say('two')).toBe('two')
    await machine.again('pod', { policy: allowing({ cidr: '10.99.0.2/32', ports: [7001] }) })
    expect(await lines.say('three')).toBe('nothing')
    // And the other end, which goes on sending, can't bring it to life again.
    expect(await lines.say('four')).toBe('nothing')
  })

  it('goes with the pod', async () => {
    await start({ ...allowing({ cidr: '192.0.2.0/24' }), ...letting({ pod: '*/*' }) })
    const objects = () => run('nft', ['list', 'table', 'inet', machine.table]).match(/-[0-9a-f]{32}/g) ?? []
    expect(objects().length).toBeGreaterThan(4)
    await machine.remove('pod')
    await machine.remove('other')
    expect([objects(), machine.traces()]).toEqual([[], nothing])
  })

  it('lets nobody go on with what an earlier pod of the same address had begun', async () => {
    const outside = await machine.outside()
    await outside.serve('udp', 80, 'outside')
    await machine.start()
    const settings = { annotations: { 'podwire.dev/ip': '10.88.0.9' } }
    const ask = async (id: string) =>
      (await machine.peer(id)).ask('udp', '10.99.0.2', 80, { localPort: 4444, timeout: 500 })
    await machine.pod('before', settings)
    expect(await ask('before')).toMatch(/^outside/)
    await machine.remove('before')
    await machine.pod('after', { ...settings, policy: { ...allowing(), ...letting() } })
    expect(await ask('after')).toMatch(/^(timeout|EHOSTUNREACH)$/)
  })

  it('is refused on a bridge, with the reason', async () => {
    await machine.start({ options: { datapath: 'bridge' } })
    await machine.pod('other')
    const seen: unknown[] = []
    const watcher = watch(`${machine.stateDir}/pods`, (_, name) => seen.push(name))
    await expect(machine.pod('pod', { policy: allowing() })).rejects.toMatchObject({
      code: 'POLICY_NEEDS_ROUTED',
      message: expect.stringContaining('datapath to routed'),
    })
    // No record of it, which another pod's set-up would take up.
    await machine.remove('other')
    await expect.poll(() => seen).toContain('other.json')
    watcher.close()
    expect(seen).not.toContain('pod.json')
    expect(machine.traces()).toEqual(nothing)
  })

  it('is refused on a bridge before a change of a pod is begun', async () => {
    await machine.start({ options: { datapath: 'bridge' } })
    await machine.pod('pod', {
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }],
    })
    const seen: unknown[] = []
    const watcher = watch(`${machine.stateDir}/pods`, (_, name) => seen.push(name))
    // Else its port, in both families, would be free for a moment, for whoever asks for it then.
    const change = machine.again('pod', { policy: allowing() })
    await expect(change).rejects.toMatchObject({ code: 'POLICY_NEEDS_ROUTED' })
    writeFileSync(`${machine.stateDir}/pods/.later`, '')
    await expect.poll(() => seen).toContain('.later')
    watcher.close()
    expect(new Set(seen)).toEqual(new Set(['.later']))
    expect(machine.traces().elements).toBe(2)
  })

  it('is put back, the pod shut in the same step, when somebody takes the rules away', async () => {
    const { pod } = await start(allowing({ cidr: '192.0.2.0/24', ports: [80] }))
    const reached = async () => [
      await pod.ask('tcp', '192.0.2.2', 80, { timeout: 1000 }),
      await pod.ask('tcp', '10.99.0.2', 80, { timeout: 1000 }),
    ]
    const right = [expect.stringMatching(/^outside/), expect.stringMatching(REFUSED)]
    run('nft', ['flush', 'ruleset'])
    expect((await reached())[1]).toMatch(/^outside/)
    await machine.plugin.event('repair', {})
    expect(await reached()).toEqual(right)
    const [chain = ''] = /egress-[0-9a-f]{32}/.exec(run('nft', ['list', 'chains', 'inet'])) ?? []
    run('nft', ['flush', 'chain', 'inet', machine.table, chain])
    await expect(
      machine.plugin.checkPod?.(machine.sandbox('pod'), new AbortController().signal),
    ).rejects.toThrow('policy')
    await machine.plugin.event('repair', {})
    expect(await reached()).toEqual(right)
    // Another process, that knows of nothing but the records.
    run('nft', ['flush', 'ruleset'])
    await machine.start()
    await machine.plugin.event('repair', {})
    expect(await reached()).toEqual(right)
    expect(machine.host.reports.filter(({ event }) => event === 'repair').length).toBeGreaterThan(1)
  })

  it('tells of what it denied: which pod, what, by which rule, how often', async () => {
    // A refusal that the kernel holds back, as it sent several lately, has the pod try again by itself.
    writeSysctl('net/ipv4/icmp_ratelimit', 0)
    const { pod } = await start({
      egress: {
        default: 'deny',
        allow: [{ cidr: '192.0.2.0/24' }],
        deny: [{ set: 'metadata' }, { ports: [443] }],
      },
    })
    await pod.ask('tcp', '192.0.2.2', 443)
    for (let time = 0; time < 3; time++) await pod.ask('tcp', '10.99.0.2', 80)
    run('ip', ['route', 'add', '169.254.169.254', 'via', '192.0.2.2'])
    await pod.ask('tcp', '169.254.169.254', 80)
    await pod.ask('udp', 'fd88::2', 53, { timeout: 300 })
    const common = { pod: { namespace: 'test', name: 'pod', sandboxId: 'pod' }, direction: 'egress' }
    // What takes longer than is gathered at a time is told of twice.
    await expect.poll(deniedFlows).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          ...common,
          protocol: 'tcp',
          address: '192.0.2.2',
          port: 443,
          rule: 'deny[1]',
        }),
        expect.objectContaining({
          ...common,
          protocol: 'tcp',
          address: '10.99.0.2',
          port: 80,
          rule: 'default',
        }),
        expect.objectContaining({ ...common, protocol: 'tcp', address: '169.254.169.254', rule: 'deny[0]' }),
        expect.objectContaining({
          ...common,
          protocol: 'udp',
          address: 'fd88::2',
          port: 53,
          rule: 'default',
        }),
      ]),
    )
    const toOutside = deniedFlows().filter(({ address }) => address === '10.99.0.2')
    expect(toOutside.reduce((sum, { count }) => sum + count, 0)).toBe(3)
  })

  it('has told of what it denied last when its pod is gone', async () => {
    const { pod } = await start({ egress: { default: 'deny' } })
    for (const port of [81, 82, 83]) {
      await pod.ask('tcp', '10.99.0.2', port)
      if (port === 82) await expect.poll(() => deniedFlows().map((flow) => flow.port)).toContain(port)
    }
    await machine.remove('pod')
    expect(deniedFlows().map(({ port }) => port)).toEqual(expect.arrayContaining([81, 82, 83]))
  })
})
