import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DeniedFlow, Policy, PolicyRule } from '@podwire/api'
import { recordingLogger } from '@podwire/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { PodRecord } from '../../src/pod-record.ts'
import { compilePolicy } from '../../src/policy/compile.ts'
import { createNaming } from '../../src/policy/naming.ts'
import { describeIsolated, run, useMachine } from '../support/machine.ts'
import { startUpstream, type Upstream } from './names/upstream.ts'

const allowing = (...allow: PolicyRule[]): Policy => ({ egress: { default: 'deny', allow } })
const REFUSED = /^(EHOSTUNREACH|EACCES)$/
const ANYBODY = '9.9.9.9'
const [registry, sibling] = ['93.184.216.34', '93.184.216.35']

describeIsolated('a policy with names', () => {
  const machine = useMachine()
  const deniedFlows = () =>
    machine.host.reports
      .filter(({ event }) => event === 'flow:denied')
      .map(({ details }) => details as unknown as DeniedFlow) // kubenet's own

  /** `registry.test` and its sibling are outside, on addresses of the internet; upstream knows nothing else. */
  async function start(policy: Policy, ttl = 60) {
    const outside = await machine.outside(registry, sibling)
    const answer: Upstream['answer'] = ({ name }) => {
      const data = { 'registry.test': registry, 'other.test': sibling, 'rebinding.test': '10.99.0.2' }[name]
      return data === undefined ? [] : [{ type: 'A', name, ttl, data }]
    }
    const upstream = await startUpstream(answer)
    onTestFinished(() => upstream.close())
    const options = { nameServers: [upstream.server] }
    await machine.start({ options })
    await machine.pod('pod', { policy })
    for (const port of [80, 443]) await outside.serve('tcp', port, 'outside')
    await outside.serve('udp', 443, 'outside', registry)
    return { pod: await machine.peer('pod'), outside, upstream, options }
  }

  it('lets a pod reach what an allowed name leads to, once it asked for it, by TCP and UDP, and nothing else', async () => {
    const { pod } = await start(allowing({ host: 'registry.test', ports: [443] }))
    const reach = (address: string, port: number) => pod.ask('tcp', address, port, { timeout: 1000 })
    expect(await reach(registry, 443)).toMatch(REFUSED)
    // Whatever server it asks.
    expect(await pod.resolve('registry.test', ANYBODY)).toBe(registry)
    expect(await reach(registry, 443)).toMatch(/^outside/)
    expect(await pod.ask('udp', registry, 443)).toMatch(/^outside/)
    expect(await reach(registry, 80)).toMatch(REFUSED)
    expect(await reach(sibling, 443)).toMatch(REFUSED)
    expect(await pod.resolve('other.test', ANYBODY)).toBe('ENOTFOUND')
    expect(await reach(sibling, 443)).toMatch(REFUSED)
    expect(await reach('10.88.0.1', 53)).toMatch(/^(EHOSTUNREACH|EACCES|timeout)$/)
    await expect.poll(() => deniedFlows().length).toBeGreaterThan(2)
    expect(deniedFlows()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ protocol: 'dns', name: 'other.test', rule: 'default' }),
        expect.objectContaining({ protocol: 'tcp', address: registry, port: 80, name: 'registry.test' }),
      ]),
    )
  })

  it('does so however many policies there were meanwhile', async () => {
    const { pod } = await start(allowing({ host: 'registry.test' }))
    for (let other = 1; other < 100; other++) compilePolicy(allowing({ cidr: `10.0.0.${other}/32` }))
    expect(await pod.resolve('registry.test', ANYBODY)).toBe(registry)
    expect(await pod.ask('tcp', registry, 443)).toMatch(/^outside/)
  })

  it('takes no answer that leads to private addresses, unless a rule allows those', async () => {
    const { pod } = await start(allowing({ host: '*.test' }))
    expect(await pod.resolve('rebinding.test', ANYBODY)).not.toContain('10.99')
    expect(await pod.ask('tcp', '10.99.0.2', 80, { timeout: 500 })).toMatch(REFUSED)
    await expect.poll(() => deniedFlows().filter(({ protocol }) => protocol === 'dns')).toHaveLength(1)
    const [{ pod: _, count, first, last, ...told } = {} as DeniedFlow] = deniedFlows().filter(
      ({ protocol }) => protocol === 'dns',
    )
    expect(told).toEqual({
      ...{ direction: 'egress', protocol: 'dns', rule: 'address' },
      ...{ name: 'rebinding.test', address: '10.99.0.2' },
    })
    await machine.again('pod', { policy: allowing({ host: '*.test' }, { cidr: '10.99.0.0/16' }) })
    expect(await pod.resolve('rebinding.test', ANYBODY)).toBe('10.99.0.2')
  })

  it('resolves names of pods that it may speak with, and no others', async () => {
    const { pod } = await start(allowing({ host: 'registry.test' }, { pod: 'test/web' }))
    for (const id of ['web', 'db']) await machine.pod(id)
    expect(await pod.resolve('web.test.pod', ANYBODY)).toBe('10.88.0.3')
    expect(await pod.resolve('db.test.pod', ANYBODY)).toBe('ENOTFOUND')
  })

  describe.each<[string, PolicyRule[]]>([
    ['one pod', [{ pod: 'test/web', ports: [80] }]],
    ['pods by their annotations', [{ pod: { annotations: { app: 'web' } } }]],
    ['all pods and the host, as --no-internet has it', [{ pod: '*/*' }, { gateway: true }]],
  ])('and no names, but %s', (_, allow) => {
    it('has the names of those resolved, and no others', async () => {
      await machine.start()
      await machine.pod('pod', { policy: allowing(...allow) })
      await machine.pod('web', { annotations: { app: 'web' } })
      await machine.pod('db', {})
      const pod = await machine.peer('pod')
      await (await machine.peer('web')).serve('tcp', 80, 'web')
      expect(await pod.resolve('web.test.pod', ANYBODY)).toBe('10.88.0.3')
      expect(await pod.ask('tcp', '10.88.0.3', 80)).toMatch(/^web/)
      expect(await pod.resolve('registry.test', ANYBODY)).toBe('ENOTFOUND')
      const isAll = allow.some(({ pod }) => pod === '*/*')
      expect(await pod.resolve('db.test.pod', ANYBODY)).toBe(isAll ? '10.88.0.4' : 'ENOTFOUND')
      await expect
        .poll(deniedFlows)
        .toContainEqual(expect.objectContaining({ protocol: 'dns', name: 'registry.test', rule: 'default' }))
    })
  })

  it('needs a name server of the host for names, and none for pods', async () => {
    await machine.start()
    const none = join(machine.stateDir, 'none')
    writeFileSync(none, '')
    run('mount', ['--bind', none, '/etc/resolv.conf'])
    onTestFinished(() => void run('umount', ['/etc/resolv.conf']))
    await expect(machine.pod('named', { policy: allowing({ host: 'registry.test' }) })).rejects.toThrow(
      'no name server',
    )
    await machine.remove('named')
    await machine.pod('pod', { policy: allowing({ pod: '*/*' }) })
    const { ip } = await machine.pod('web')
    const pod = await machine.peer('pod')
    expect(await pod.resolve('web.test.pod', ANYBODY)).toBe(ip)
    expect(await pod.resolve('registry.test', ANYBODY)).toBe('ENOTFOUND')
  })

  it('does not change whom a pod asks that may ask name servers, by the rules of its policy', async () => {
    const { upstream, outside } = await start(allowing({ host: 'registry.test' }))
    await outside.serveNames(53, { 'registry.test': registry })
    for (const id of ['names', 'web']) await machine.pod(id)
    const names = await machine.peer('names')
    await names.serveNames(53, { 'registry.test': sibling })
    await (await machine.peer()).serveNames(53, { 'registry.test': '192.0.2.77' })
    const pod = await machine.peer('pod')
    const asking = async (policy: Policy) => {
      await machine.again('pod', { policy })
      const to = (server: string) => pod.resolve('registry.test', server)
      return { outside: await to('192.0.2.2'), host: await to('10.88.0.1'), pod: await to('10.88.0.3') }
    }
    const web: PolicyRule = { pod: 'test/web' }
    const [known, inPod, atHost] = [registry, sibling, '192.0.2.77']
    // An answer comes from whom it was asked, or from nobody.
    expect(await asking(allowing(web, { pod: 'test/names' }, { gateway: true }))).toEqual({
      outside: 'ENOTFOUND',
      host: atHost,
      pod: inPod,
    })
    // Whom it may not ask anyway does not matter.
    expect(await asking(allowing(web))).toMatchObject({ outside: 'ENOTFOUND', host: 'ENOTFOUND' })
    expect(await asking(allowing({ ...web, ports: [80] }, { gateway: true, ports: [53] }))).toEqual({
      outside: 'ENOTFOUND',
      host: atHost,
      pod: 'ENOTFOUND',
    })
    expect(await asking(allowing(web, { pod: 'test/names', ports: [53] }))).toEqual({
      outside: expect.stringMatching(/^E(?!NOTFOUND)/),
      host: expect.stringMatching(/^E(?!NOTFOUND)/),
      pod: inPod,
    })
    expect(await asking(allowing(web, { set: 'dns' }))).toEqual({ outside: known, host: atHost, pod: inPod })
    expect(await asking(allowing(web, { cidr: '192.0.2.0/24' }))).toMatchObject({ outside: known })
    expect(await asking({ egress: { default: 'allow', deny: [web] } })).toEqual({
      outside: known,
      host: atHost,
      pod: inPod,
    })
    expect(upstream.asked).toEqual([])
    // Who has names is answered by the host alone.
    expect(await asking(allowing({ host: 'a.test' }, web, { set: 'dns' }))).toEqual({
      outside: 'ENOTFOUND',
      host: 'ENOTFOUND',
      pod: 'ENOTFOUND',
    })
  })

  it('and no names, but pods, is whole without anybody who answers, and is answered by a host that stays', async () => {
    const policy = allowing({ pod: 'test/web' }, { gateway: true })
    const check = () =>
      machine.plugin.checkPod?.(machine.sandbox('pod', { policy }), new AbortController().signal)
    await machine.start({ resident: false })
    await machine.pod('pod', { policy })
    await machine.pod('web')
    const pod = await machine.peer('pod')
    await (await machine.peer()).serveNames(53, { 'registry.test': registry })
    const asked = async () => [
      await pod.resolve('web.test.pod', ANYBODY),
      await pod.resolve('registry.test', '10.88.0.1'),
    ]
    const unanswered = [expect.stringMatching(/^E/), registry]
    expect(await asked()).toEqual(unanswered)
    await check()
    // What passes by changes nothing of it.
    await machine.again('pod', { policy })
    await machine.plugin.event('repair', { resident: false })
    expect(await asked()).toEqual(unanswered)

    await machine.start()
    await machine.plugin.event('repair', { resident: true })
    expect(await asked()).toEqual(['10.88.0.3', registry])
    await check()
    // One that ends leaves what the pod may do as it was.
    await machine.start({ resident: false })
    expect(await asked()).toEqual(unanswered)
    await check()

    // Whoever stays and sets it up again answers it.
    await machine.start()
    await machine.again('pod', { policy })
    expect(await asked()).toEqual(['10.88.0.3', registry])
    run('nft', ['flush', 'ruleset'])
    await machine.plugin.event('repair', {})
    expect(await asked()).toEqual(['10.88.0.3', registry])
  })

  it('is answered and told again by a host that stays, and by no other, and its connections stay', async () => {
    const { pod, options } = await start(allowing({ host: 'registry.test', ports: [443] }))
    expect(await pod.resolve('registry.test', ANYBODY)).toBe(registry)
    await machine.start({ options })
    await machine.plugin.event('repair', { resident: false })
    expect(await pod.resolve('registry.test', ANYBODY)).toMatch(/^E(CONNREFUSED|TIMEOUT)$/)
    await machine.plugin.event('repair', { resident: true })
    // What names led to before is open without being asked for again.
    expect(await pod.ask('tcp', registry, 443, { timeout: 1000 })).toMatch(/^outside/)
    expect(await pod.resolve('registry.test', ANYBODY)).toBe(registry)
    const before = deniedFlows().length
    expect(await pod.ask('tcp', registry, 80, { timeout: 500 })).toMatch(REFUSED)
    await expect.poll(() => deniedFlows().length).toBeGreaterThan(before)
  })

  it('stays shut when nobody answers any more, and is answered by whoever sets the pod up again', async () => {
    const policy = allowing({ host: 'registry.test' })
    const { pod, options } = await start(policy)
    await machine.start({ options })
    expect(await pod.resolve('registry.test', ANYBODY)).toMatch(/^E(CONNREFUSED|TIMEOUT)$/)
    expect(await pod.ask('tcp', registry, 443, { timeout: 500 })).toMatch(REFUSED)
    // A host sets up again only what a check tells of.
    const check = () => machine.plugin.checkPod?.(machine.sandbox('pod'), new AbortController().signal)
    await expect(check()).rejects.toThrow('nobody answers its questions for names any more')
    await machine.again('pod', { policy })
    await check()
    expect(await pod.resolve('registry.test', ANYBODY)).toBe(registry)
    // What was allowed is still when the rules were put back.
    run('nft', ['flush', 'ruleset'])
    await machine.plugin.event('repair', {})
    expect(await pod.ask('tcp', registry, 443, { timeout: 1000 })).toMatch(/^outside/)
    expect(await pod.ask('tcp', sibling, 443, { timeout: 500 })).toMatch(REFUSED)
  })
})

it('a resolver that can’t listen fails the set-up of a pod with names alone', async () => {
  const log = recordingLogger()
  const naming = createNaming({
    ...{ log, servers: ['192.0.2.53'], stays: true, admit() {}, denied() {} },
    ...{ podNamed: () => undefined, podAt: () => undefined, peerNamed: () => undefined },
  })
  onTestFinished(() => naming.close())
  const pod = (...allow: PolicyRule[]): PodRecord => ({
    ...{
      namespace: 'test',
      name: 'pod',
      sandboxId: 'pod',
      datapath: 'routed',
      interfaceName: 'eth0',
      mtu: 1500,
    },
    netns: { path: '/run/netns/pod', dev: 4, ino: 17 },
    // Nobody here has this gateway.
    addresses: [{ address: '192.0.2.98', prefixLength: 32, gateway: '192.0.2.99' }],
    ...{ ports: [], annotations: {}, bandwidth: {}, policy: allowing(...allow) },
  })
  await expect(naming.serve(pod({ host: 'registry.test' }))).rejects.toMatchObject({
    code: 'RESOLVER_NOT_LISTENING',
  })
  const withPods = pod({ pod: '*/*' })
  await naming.serve(withPods)
  expect(naming.resolverOf(withPods)).toBeUndefined()
  expect(log.messages()).toEqual([expect.stringMatching(/pod test\/pod hears of no other pods by name/)])
})
