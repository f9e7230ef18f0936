import { rmSync } from 'node:fs'
import { PEER_PODS_CHANGE, type PeerPod, type Policy, type PolicyRule } from '@podwire/api'
import { expect, it } from 'vitest'
import { describeIsolated, run, useMachine } from '../support/machine.ts'

const allowing = (...allow: PolicyRule[]): Policy => ({ egress: { default: 'deny', allow } })
const letting = (...allow: PolicyRule[]): Policy => ({ ingress: { default: 'deny', allow } })

describeIsolated('connections of pods', () => {
  const machine = useMachine()
  const db = '10.88.0.9'

  it.each<[string, Policy, string, string]>([
    [
      'that the policy of who began them allows no more',
      allowing({ pod: { annotations: { app: 'in' } } }),
      'db',
      'out',
    ],
    [
      'that the policy of who is asked allows no more',
      letting({ pod: { annotations: { app: 'in' } } }),
      'web',
      'out',
    ],
    [
      'that the policy of who is asked denies by now',
      { ingress: { default: 'allow', deny: [{ pod: { annotations: { app: 'out' } } }] } },
      'web',
      'out',
    ],
  ])('%s end when the annotations of the other one change', async (_what, policy, changes, after) => {
    await machine.start()
    const settings = (id: string, app: string) => ({
      ...(id === changes ? {} : { policy }),
      annotations: { app, ...(id === 'db' ? { 'podwire.dev/ip': db } : {}) },
    })
    for (const id of ['db', 'web']) await machine.pod(id, settings(id, 'in'))
    await machine.pod('another')
    const [inDb, inWeb, another] = [
      await machine.peer('db'),
      await machine.peer('web'),
      await machine.peer('another'),
    ]
    await inDb.serveLines(7000)
    await another.serveLines(7000)
    const lines = await inWeb.connectLines(db, 7000)
    expect(await lines.say('one')).toBe('one')
    // What doesn't matter to the policy changes nothing.
    const same = settings(changes, 'in')
    await machine.again(changes, { ...same, annotations: { ...same.annotations, other: 'x' } })
    expect(await lines.say('two')).toBe('two')
    await machine.again(changes, settings(changes, after))
    expect(await lines.say('three')).toBe('nothing')
  })

  const settings = { policy: allowing({ pod: 'other/*' }) }
  const linesOf = async (id: string) => (await machine.peer(id)).connectLines('10.99.0.2', 7000)

  it('of all that share a policy end when a repair puts it right', async () => {
    const podCIDR = '10.99.0.0/24'
    const pods: PeerPod[] = [{ namespace: 'other', name: 'web', addresses: ['10.99.0.2'], annotations: {} }]
    const outside = await machine.outside()
    await outside.serveLines(7000)
    await machine.start()
    await machine.plugin.event(PEER_PODS_CHANGE, { all: [podCIDR], changed: [{ podCIDR, pods }] })
    const ids = ['one', 'two']
    for (const id of ids) await machine.pod(id, settings)
    const lines = await Promise.all(ids.map(linesOf))
    expect(await Promise.all(lines.map((one) => one.say('before')))).toEqual(['before', 'before'])
    // As a process leaves it that is killed before it changes the sets.
    rmSync(`${machine.stateDir}/peers/10.99.0.0-24.json`)
    await machine.start()
    await machine.plugin.event('repair', { resident: true })
    expect(await Promise.all(lines.map((one) => one.say('after')))).toEqual(['nothing', 'nothing'])
  })

  it('of all that share a policy end when the next pod that gets it has it put right', async () => {
    const outside = await machine.outside()
    await outside.serveLines(7000)
    await machine.start()
    const ids = ['one', 'two']
    for (const id of ids) await machine.pod(id, settings)
    const [set = ''] = machine.traces().policies.filter((name) => name.startsWith('egress-allow-0-4'))
    run('nft', ['add', 'element', 'inet', machine.table, set, '{ 10.99.0.2 }'])
    const lines = await Promise.all(ids.map(linesOf))
    expect(await Promise.all(lines.map((one) => one.say('before')))).toEqual(['before', 'before'])
    await machine.pod('three', settings)
    expect(await Promise.all(lines.map((one) => one.say('after')))).toEqual(['nothing', 'nothing'])
  })
})
