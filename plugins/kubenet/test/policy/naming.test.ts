import type { DeniedFlow, Policy, PolicyRule } from '@podwire/api'
import { expect, it, onTestFinished } from 'vitest'
import { compilePolicy } from '../../src/policy/compile.ts'
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
    await machine.again('pod', { policy: allowing({ host: '*.test' }, { cidr: '10.99.0.0/16' }) })
    expect(await pod.resolve('rebinding.test', ANYBODY)).toBe('10.99.0.2')
  })

  it('resolves names of pods that it may speak with, and no others', async () => {
    const { pod } = await start(allowing({ host: 'registry.test' }, { pod: 'test/web' }))
    for (const id of ['web', 'db']) await machine.pod(id)
    expect(await pod.resolve('web.test.pod', ANYBODY)).toBe('10.88.0.3')
    expect(await pod.resolve('db.test.pod', ANYBODY)).toBe('ENOTFOUND')
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
