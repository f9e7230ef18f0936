import { readdirSync, writeFileSync } from 'node:fs'
import { PEER_PODS_CHANGE, type PeerPod, type Policy, type PolicyRule } from '@podwire/api'
import { expect, it } from 'vitest'
import { describeIsolated, never, nothing, run, useMachine } from '../support/machine.ts'

const allowing = (...allow: PolicyRule[]): Policy => ({ egress: { default: 'deny', allow } })
const letting = (...allow: PolicyRule[]): Policy => ({ ingress: { default: 'deny', allow } })

const REFUSED = /^(EHOSTUNREACH|EACCES)$/
const ANYBODY = '9.9.9.9'
/** The other node's: what is outside, as far as this kernel is concerned. */
const podCIDR = '10.99.0.0/24,2001:db8::/64'

const web: PeerPod = {
  namespace: 'other',
  name: 'web',
  addresses: ['10.99.0.2', '2001:db8::2'],
  annotations: { app: 'web' },
}

describeIsolated('pods of other nodes', () => {
  const machine = useMachine()
  const tell = async (...pods: PeerPod[]) =>
    machine.plugin.event(PEER_PODS_CHANGE, { all: [podCIDR], changed: [{ podCIDR, pods }] })
  const withdraw = async () => machine.plugin.event(PEER_PODS_CHANGE, { all: [], changed: [] })

  async function start(policy: Policy) {
    const outside = await machine.outside()
    await machine.start()
    await machine.pod('pod', { policy })
    const pod = await machine.peer('pod')
    for (const port of [80, 443]) await outside.serve('tcp', port, 'outside')
    await pod.serve('tcp', 7000, 'pod')
    return { outside, pod, reach: (address: string, port = 80) => pod.ask('tcp', address, port) }
  }

  it('have no address of a pod of this node', async () => {
    const { reach } = await start(allowing({ pod: 'other/web', ports: [80] }))
    await machine.pod('own')
    await (await machine.peer('own')).serve('tcp', 80, 'own')
    const { ip } = await machine.again('own')
    const all = '10.88.0.0/16'
    await machine.plugin.event(PEER_PODS_CHANGE, {
      all: [all],
      changed: [{ podCIDR: all, pods: [{ ...web, addresses: [ip] }] }],
    })
    expect(await reach(ip)).toMatch(REFUSED)
  })

  it.each<[string, PolicyRule]>([
    ['by name', { pod: 'other/web', ports: [80] }],
    ['by namespace', { pod: 'other/*', ports: [80] }],
    ['by annotations', { pod: { annotations: { app: 'web' } }, ports: [80] }],
  ])('are reached where a rule speaks of them, %s, while they are there', async (_how, rule) => {
    const { reach } = await start(allowing(rule))
    expect(await reach('10.99.0.2')).toMatch(REFUSED)
    await tell({ ...web, name: 'not-web', namespace: 'another', annotations: { app: 'not-web' } })
    expect(await reach('10.99.0.2')).toMatch(REFUSED)
    await tell(web)
    expect(await reach('10.99.0.2')).toMatch(/^outside/)
    expect(await reach('2001:db8::2')).toMatch(/^outside/)
    expect(await reach('10.99.0.2', 443)).toMatch(REFUSED)
    expect(await reach('192.0.2.2')).toMatch(REFUSED)
    // One that is set up later knows them too.
    await machine.pod('late', { policy: allowing(rule) })
    const late = await machine.peer('late')
    expect(await late.ask('tcp', '10.99.0.2', 80)).toMatch(/^outside/)
    await tell({ ...web, addresses: ['10.99.0.9'] })
    expect(await reach('10.99.0.2')).toMatch(REFUSED)
    await tell(web)
    await withdraw()
    expect(await reach('10.99.0.2')).toMatch(REFUSED)
    expect(await late.ask('tcp', '10.99.0.2', 80)).toMatch(REFUSED)
    for (const id of ['late', 'pod']) await machine.remove(id)
    expect(machine.traces()).toEqual(nothing)
  })

  it('reach a pod where its policy speaks of them, and do not when they are gone', async () => {
    const { outside } = await start(letting({ pod: 'other/web' }))
    const ask = () => outside.ask('tcp', '10.88.0.2', 7000, { timeout: 500 })
    expect(await ask()).toBe('timeout')
    await tell(web)
    expect(await ask()).toBe('pod 10.99.0.2')
    await withdraw()
    expect(await ask()).toBe('timeout')
  })

  it('are denied where a rule denies them, connections that they have too', async () => {
    const { reach, pod, outside } = await start({
      egress: { default: 'allow', deny: [{ pod: 'other/web' }] },
    })
    await outside.serveLines(8000)
    const lines = await pod.connectLines('10.99.0.2', 8000)
    expect(await lines.say('one')).toBe('one')
    await tell(web)
    expect(await lines.say('two')).toBe('nothing')
    expect(await reach('10.99.0.2')).toMatch(REFUSED)
    await withdraw()
    expect(await reach('10.99.0.2')).toMatch(/^outside/)
  })

  it('lose their connections when they are gone, and no others do', async () => {
    const { pod, outside } = await start(allowing({ pod: 'other/web' }))
    await machine.pod('second', { policy: allowing({ pod: 'other/web' }, { cidr: '10.99.0.2/32' }) })
    const second = await machine.peer('second')
    await tell(web)
    await outside.serveLines(8000)
    const lines = await pod.connectLines('10.99.0.2', 8000)
    const others = await second.connectLines('10.99.0.2', 8000)
    // What is told again changes nothing.
    await tell(web)
    expect(await lines.say('one')).toBe('one')
    await tell()
    expect(await lines.say('two')).toBe('nothing')
    expect(await others.say('three')).toBe('three')
  })

  it('have names that lead to them where the policy lets the two speak, unless a pod here has that name', async () => {
    const { pod } = await start(allowing({ host: 'example.org' }, { pod: 'other/web' }, { pod: 'test/own' }))
    expect(await pod.resolve('web.other.pod', ANYBODY)).toBe('ENOTFOUND')
    await tell(
      { ...web, addresses: ['10.99.0.3'], isNamesake: true },
      web,
      { ...web, name: 'db' },
      { ...web, namespace: 'test', name: 'own' },
    )
    expect(await pod.resolve('web.other.pod', ANYBODY)).toBe('10.99.0.2')
    expect(await pod.ask('tcp', '10.99.0.2', 80)).toMatch(/^outside/)
    expect(await pod.resolve('db.other.pod', ANYBODY)).toBe('ENOTFOUND')
    expect(await pod.resolve('own.test.pod', ANYBODY)).toBe('10.99.0.2')
    await machine.pod('own')
    expect(await pod.resolve('own.test.pod', ANYBODY)).toBe('10.88.0.3')
    await withdraw()
    expect(await pod.resolve('web.other.pod', ANYBODY)).toBe('ENOTFOUND')
    expect(await pod.resolve('own.test.pod', ANYBODY)).toBe('10.88.0.3')
  })

  it('are known to another process, are nothing that a check finds, and come back with rules that somebody took away', async () => {
    const { reach } = await start(allowing({ pod: 'other/web' }))
    // Two pods of one address are one element.
    await tell(web, { ...web, namespace: 'other', name: 'web', addresses: ['10.99.0.2'], isNamesake: true })
    const check = () => machine.plugin.checkPod?.(machine.sandbox('pod'), never())
    await check()
    await machine.start()
    await check()
    await machine.plugin.event('repair', { resident: true })
    expect(await reach('10.99.0.2')).toMatch(/^outside/)
    run('nft', ['flush', 'ruleset'])
    await machine.plugin.event('repair', {})
    expect(await reach('10.99.0.2')).toMatch(/^outside/)
    expect(await reach('192.0.2.2')).toMatch(REFUSED)
    await withdraw()
    expect(readdirSync(`${machine.stateDir}/peers`)).toEqual([])
    await check()
  })

  it('are thousands for several pods, of which each has all', async () => {
    await machine.outside()
    await machine.start()
    const ids = ['one', 'two', 'three']
    for (const id of ids) await machine.pod(id, { policy: allowing({ pod: '*/*', ports: [80] }) })
    const nodes = Array.from({ length: 20 }, (_, node) => ({
      podCIDR: `10.100.${node}.0/24`,
      pods: Array.from({ length: 250 }, (_, at) => ({
        namespace: 'many',
        name: `pod-${node}-${at}`,
        addresses: [`10.100.${node}.${at + 2}`],
        annotations: {},
      })),
    }))
    const all = nodes.map(({ podCIDR: one }) => one)
    const has = (address: string) =>
      run('nft', ['list', 'table', 'inet', machine.table]).includes(`${address},`)
    const check = async () => {
      for (const id of ids) await machine.plugin.checkPod?.(machine.sandbox(id), never())
    }
    await machine.plugin.event(PEER_PODS_CHANGE, { all, changed: nodes })
    expect([has('10.100.0.2'), has('10.100.19.250'), has('10.100.20.2')]).toEqual([true, true, false])
    await check()
    await machine.plugin.event(PEER_PODS_CHANGE, { all: all.slice(1), changed: [] })
    expect([has('10.100.0.2'), has('10.100.19.250')]).toEqual([false, true])
    await check()
  })

  it('that cannot be read of the disk are nobody', async () => {
    const { reach } = await start(allowing({ pod: 'other/web' }))
    await tell(web)
    const [file = ''] = readdirSync(`${machine.stateDir}/peers`)
    writeFileSync(`${machine.stateDir}/peers/${file}`, '{"podCIDR":"10.99.0.0/24"')
    await machine.start()
    await machine.plugin.event('repair', { resident: true })
    expect(await reach('10.99.0.2')).toMatch(REFUSED)
    expect(machine.warnings.join()).toContain("can't be read")
  })

  it.each<[string, object]>([
    ['an address that is not of its node', { changed: [{ podCIDR: '10.98.0.0/24', pods: [web] }] }],
    ['no address', { changed: [{ podCIDR, pods: [{ ...web, addresses: ['../../etc'] }] }] }],
    ['no pod CIDR', { changed: [{ podCIDR: '../../x', pods: [] }] }],
    ['no list', { all: 'x', changed: [] }],
    ['nothing', {}],
    ['an annotation that is not text', { changed: [{ podCIDR, pods: [{ ...web, annotations: { a: 1 } }] }] }],
  ])('are refused with %s, and nothing changes', async (_what, details) => {
    const { reach } = await start(allowing({ pod: 'other/web' }))
    await tell(web)
    await expect(machine.plugin.event(PEER_PODS_CHANGE, { ...details })).rejects.toMatchObject({
      code: 'PEER_PODS_INVALID',
    })
    expect(await reach('10.99.0.2')).toMatch(/^outside/)
  })
})
