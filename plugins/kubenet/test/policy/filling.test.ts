import { setImmediate as nextTurn } from 'node:timers/promises'
import { PEER_PODS_CHANGE, type PeerPod, type Policy, type PolicyRule } from '@podwire/api'
import { expect, it } from 'vitest'
import { defaultOptions } from '../../src/options.ts'
import { createKubenet } from '../../src/plugin.ts'
import { describeIsolated, never, run, useMachine } from '../support/machine.ts'

const THEIRS = '10.90.0.0/16'
const peers = (count: number, namespace: string): PeerPod[] =>
  Array.from({ length: count }, (_, at) => ({
    namespace,
    name: `p${at}`,
    addresses: [`10.90.${at >> 8}.${at & 255}`],
    annotations: {},
  }))

/** As many turns of the event loop as a test puts between two things, one test after another. */
const eachOf = (turns: number) => Array.from({ length: turns }, (_, at) => at)

describeIsolated('the sets of a policy that is filled in pieces', () => {
  const machine = useMachine()

  /** The addresses in the sets whose names begin so. */
  function addressesIn(name: string): string[] {
    const sets = machine.traces().policies.filter((one) => one.startsWith(name))
    return sets.flatMap(
      (set) => run('nft', ['list', 'set', 'inet', machine.table, set]).match(/10\.\d+\.\d+\.\d+/g) ?? [],
    )
  }

  async function pass(turns: number) {
    for (let turn = 0; turn < turns; turn++) await nextTurn()
  }

  const tell = async (...changed: { podCIDR: string; pods: PeerPod[] }[]) =>
    machine.plugin.event(PEER_PODS_CHANGE, { all: changed.map(({ podCIDR }) => podCIDR), changed })

  it.each(['allow', 'deny'] as const)(
    'have a pod that enters another one meanwhile, among what they %s',
    async (list) => {
      const rules: PolicyRule[] = [
        { pod: { annotations: { mod: '2' } }, ports: [81] },
        { pod: 'odd/*', ports: [80] },
      ]
      const policy: Policy = { egress: { default: list === 'allow' ? 'deny' : 'allow', [list]: rules } }
      const all = { podCIDR: THEIRS, pods: peers(6000, 'odd') }
      const web = (mod: string) => ({
        podCIDR: '10.99.0.0/24',
        pods: [{ namespace: 'odd', name: 'web', addresses: ['10.99.0.2'], annotations: { mod } }],
      })
      await machine.start()
      for (const turns of eachOf(6)) {
        await tell(all, web('1'))
        const up = machine.pod('client', { policy })
        await pass(turns)
        await tell(all, web('2'))
        await up
        for (const index of [0, 1]) expect(addressesIn(`egress-${list}-${index}-4-`)).toContain('10.99.0.2')
        await machine.remove('client')
      }
    },
    60_000,
  )

  it('keep a pod of this node that comes with the address of one that goes meanwhile', async () => {
    const policy: Policy = { egress: { default: 'deny', allow: [{ pod: 'test/*' }] } }
    const address = '10.90.1.5'
    const own = { annotations: { 'podwire.dev/ip': address } }
    await machine.start()
    await machine.pod('client', { policy })
    for (const turns of eachOf(12)) {
      await machine.plugin.event('pod-cidr-change', { 'pod-cidr': '10.88.0.0/16' })
      await tell({ podCIDR: THEIRS, pods: peers(4000, 'test') })
      // The node is given the addresses that another one had.
      await machine.plugin.event('pod-cidr-change', { 'pod-cidr': THEIRS })
      machine.sandbox('own', own)
      const gone = tell()
      await pass(turns)
      await machine.pod('own', own)
      await gone
      expect(addressesIn('egress-allow-0-4-')).toContain(address)
      await machine.remove('own')
    }
  }, 60_000)

  it('of another process have none of those that go meanwhile', async () => {
    const policy: Policy = { egress: { default: 'deny', allow: [{ pod: 'test/*' }] } }
    await machine.start()
    await machine.pod('before')
    for (const turns of eachOf(10)) {
      const another = await anotherProcess()
      await tell({ podCIDR: THEIRS, pods: peers(6000, 'test') })
      const up = another.setUpPod(machine.sandbox('client', { policy }), never())
      await pass(turns)
      await tell()
      await up
      expect(addressesIn('egress-allow-0-4-').filter((one) => one.startsWith('10.90.'))).toEqual([])
      await another.close?.()
      await machine.remove('client')
    }
  }, 60_000)

  it('of another process do not have a pod whose annotations change meanwhile', async () => {
    const policy: Policy = { egress: { default: 'deny', allow: [{ pod: { annotations: { app: 'db' } } }] } }
    const settings = (app: string) => ({ annotations: { app, 'podwire.dev/ip': '10.88.0.9' } })
    await machine.start()
    await tell({ podCIDR: THEIRS, pods: peers(6000, 'test').map((one) => ({ ...one, ...settings('db') })) })
    for (const turns of eachOf(10)) {
      const another = await anotherProcess()
      await machine.pod('db', settings('db'))
      const up = another.setUpPod(machine.sandbox('client', { policy }), never())
      await pass(turns)
      await machine.again('db', settings('web'))
      await up
      expect(addressesIn('egress-allow-0-4-')).not.toContain('10.88.0.9')
      await another.close?.()
      for (const id of ['client', 'db']) await machine.remove(id)
    }
  }, 60_000)

  /** On the same host. */
  async function anotherProcess() {
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const options = { ...defaultOptions, datapath: 'routed' as const, repairInterval: 0 }
    const plugin = createKubenet({ options, stateDir: machine.stateDir, log })
    const init = { hairpinMode: 'hairpin-veth', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 } as const
    await plugin.init(machine.host, { ...init, resident: false })
    await plugin.event('pod-cidr-change', { 'pod-cidr': '10.88.0.0/16,fd88::/64' })
    return plugin
  }
})
