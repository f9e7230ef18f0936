import { setImmediate as nextTurn } from 'node:timers/promises'
import { PEER_PODS_CHANGE, type PeerPod, type Policy, type PolicyRule } from '@podwire/api'
import { expect, it } from 'vitest'
import { describeIsolated, run, useMachine } from '../support/machine.ts'

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
})
