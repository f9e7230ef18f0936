import type { Policy, PolicyRule } from '@podwire/api'
import { expect, it } from 'vitest'
import { describeIsolated, never, nothing, run, useMachine } from '../support/machine.ts'

const allowing = (...allow: PolicyRule[]): Policy => ({ egress: { default: 'deny', allow } })

// Refused by the host.
const REFUSED = /^(EHOSTUNREACH|EACCES)$/

describeIsolated('a policy that several pods have', () => {
  const machine = useMachine()
  const policy = allowing({ cidr: '192.0.2.0/24', ports: [80] })
  const other = allowing({ cidr: '192.0.2.0/24', ports: [443] })

  async function start() {
    const outside = await machine.outside()
    for (const port of [80, 443]) await outside.serve('tcp', port, 'outside')
    await machine.start()
  }

  const objects = () => machine.traces().policies

  /** Which of the two ports it reaches. */
  async function reached(id: string) {
    const peer = await machine.peer(id)
    const answers = await Promise.all([80, 443].map((port) => peer.ask('tcp', '192.0.2.2', port)))
    expect(answers).toContainEqual(expect.stringMatching(/^outside/))
    expect(answers).toContainEqual(expect.stringMatching(REFUSED))
    return answers[0]?.startsWith('outside') ? 80 : 443
  }

  it('is in the kernel once, holds for each of them, and goes with the last one', async () => {
    await start()
    await machine.pod('a', { policy })
    const once = objects()
    expect(once.length).toBeGreaterThan(2)
    await Promise.all(['b', 'c'].map((id) => machine.pod(id, { policy: structuredClone(policy) })))
    expect(objects()).toEqual(once)
    await machine.remove('a')
    await machine.remove('c')
    expect(objects()).toEqual(once)
    expect(await reached('b')).toBe(80)
    await machine.remove('b')
    expect(machine.traces()).toEqual(nothing)
  })

  it('that selects pods gives way to another one that does', async () => {
    await machine.start()
    const admitting = (pod: string): Policy => ({ ingress: { default: 'deny', allow: [{ pod }] } })
    for (const pod of ['*/*', 'test/b', 'test/*']) {
      await machine.again('a', { policy: admitting(pod) })
      await machine.plugin.checkPod?.(machine.host.pods.get('a')!, never())
    }
    await machine.remove('a')
    expect(machine.traces()).toEqual(nothing)
  })

  it('stays what it is for the others when one of them gets another one, and goes when the last one has', async () => {
    await start()
    for (const id of ['a', 'b']) await machine.pod(id, { policy })
    const first = objects()
    await machine.again('a', { policy: other })
    expect([await reached('a'), await reached('b')]).toEqual([443, 80])
    expect(objects()).toEqual(expect.arrayContaining(first))
    await machine.again('b', { policy: other })
    expect([await reached('a'), await reached('b')]).toEqual([443, 443])
    expect(objects()).not.toEqual(expect.arrayContaining(first))
    expect(objects()).toHaveLength(first.length)
    await machine.again('b', {})
    expect(objects()).toHaveLength(first.length)
    await machine.again('a', {})
    expect(objects()).toEqual([])
  })

  it.each(['chain', 'set'])(
    'is put right before another pod gets it, when its %s was emptied',
    async (what) => {
      await start()
      await machine.pod('a', { policy })
      const name =
        objects().find((one) => (what === 'set' ? /^egress-4-/ : /^egress-\w{32}$/).test(one)) ?? ''
      run('nft', ['flush', what, 'inet', machine.table, name])
      await machine.pod('b', { policy })
      expect([await reached('a'), await reached('b')]).toEqual([80, 80])
    },
  )

  it('is left to those who have it by whoever goes on after a process that ended', async () => {
    await start()
    for (const id of ['a', 'b']) await machine.pod(id, { policy })
    const once = objects()
    await machine.start()
    // Where it is told is another thing, and so it is another policy.
    await machine.pod('c', { policy })
    expect(objects()).toHaveLength(2 * once.length)
    await machine.remove('a')
    expect(objects()).toHaveLength(2 * once.length)
    expect(await reached('b')).toBe(80)
    await machine.remove('b')
    expect(objects()).toHaveLength(once.length)
    expect(objects()).not.toEqual(once)
    expect(await reached('c')).toBe(80)
    await machine.plugin.collectGarbage?.([], never())
    expect(machine.traces()).toEqual(nothing)
  })

  it('selects the pods that came while only one had it that went', async () => {
    await start()
    const selecting = allowing({ pod: { annotations: { app: 'db' } } })
    await machine.pod('a', { policy: selecting })
    const going = machine.remove('a')
    await machine.pod('db', { annotations: { app: 'db' } })
    await machine.pod('b', { policy: selecting })
    await going
    await (await machine.peer('db')).serve('tcp', 80, 'db')
    const b = await machine.peer('b')
    const address = (await machine.again('db', { annotations: { app: 'db' } })).ip
    expect(await b.ask('tcp', address, 80)).toMatch(/^db/)
    await machine.remove('db')
    await machine.pod('thief', { annotations: { 'podwire.dev/ip': address } })
    await (await machine.peer('thief')).serve('tcp', 80, 'thief')
    expect(await b.ask('tcp', address, 80)).toMatch(REFUSED)
  })
})

describeIsolated('connections of whoever had an address before', () => {
  const machine = useMachine()
  const closed: Policy = { egress: { default: 'deny' }, ingress: { default: 'deny' } }
  const settings = { annotations: { 'podwire.dev/ip': '10.88.0.9' } }

  const ask = async (id: string) =>
    (await machine.peer(id)).ask('udp', '10.99.0.2', 80, { localPort: 4444, timeout: 500 })

  it.each([
    ['of a pod with a policy', { policy: allowing({ cidr: '10.99.0.0/16' }) }],
    ['of one without', {}],
  ])('are forgotten, %s, also where nothing was to be forgotten before', async (_, before) => {
    const outside = await machine.outside()
    await outside.serve('udp', 80, 'outside')
    await machine.start()
    // From here on the kernel is known to remember nothing of this network.
    await machine.pod('first', { policy: closed })
    for (let life = 0; life < 2; life++) {
      await machine.pod('before', { ...settings, ...before })
      expect(await ask('before')).toMatch(/^outside/)
      await machine.remove('before')
      // One that needs no looking for them, in between.
      await machine.pod('another', { policy: closed })
      await machine.pod('after', { ...settings, policy: closed })
      expect(await ask('after')).toMatch(/^(timeout|EHOSTUNREACH)$/)
      await machine.remove('after')
      await machine.remove('another')
    }
  })

  it('are left alone that are a living pod’s', async () => {
    const outside = await machine.outside()
    await outside.serveLines(7000)
    await machine.start()
    await machine.pod('living')
    const lines = await (await machine.peer('living')).connectLines('10.99.0.2', 7000)
    expect(await lines.say('one')).toBe('one')
    await machine.pod('before', settings)
    await machine.remove('before')
    await machine.pod('after', { ...settings, policy: closed })
    expect(run('cat', ['/proc/net/nf_conntrack'])).toMatch(/dport=7000/)
    expect(await lines.say('two')).toBe('two')
  })
})
