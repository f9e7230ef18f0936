import { readFileSync, writeFileSync } from 'node:fs'
import type { Policy } from '@podwire/api'
import { expect, it, onTestFinished } from 'vitest'
import { type Firewall, openFirewall } from '../../src/firewall/firewall.ts'
import { openKernel } from '../../src/kernel/kernel.ts'
import type { PodRecord } from '../../src/pod-record.ts'
import { openRecords } from '../../src/pods/records.ts'
import { describeIsolated, never, run, useMachine } from '../support/machine.ts'
import { openPolicies } from '../support/policies.ts'

const policy: Policy = { egress: { default: 'deny', allow: [{ pod: '*/*' }] } }

describeIsolated('what the kernel has of a policy that no pod got', () => {
  const machine = useMachine()
  const nft = (...args: string[]) => run('nft', args)
  const objects = () => machine.traces().policies
  const collect = async () => machine.plugin.collectGarbage?.(['pod'], never())

  it('goes when garbage is collected, and what pods have stays', async () => {
    await machine.start()
    await machine.pod('pod', { policy })
    const before = objects()
    const suffix = '0123456789abcdef'.repeat(2)
    const [chain, set] = [`egress-${suffix}`, `egress-allow-0-4-${suffix}`]
    nft('add', 'set', 'inet', machine.table, set, '{ type ipv4_addr; elements = { 10.90.0.1 }; }')
    nft('add', 'chain', 'inet', machine.table, chain)
    nft('add', 'rule', 'inet', machine.table, chain, 'ip', 'daddr', `@${set}`, 'accept')
    await collect()
    expect(objects()).toEqual(before)
    expect(nft('list', 'map', 'inet', machine.table, 'egress')).toContain(machine.linkOf('pod'))
  })

  it.each(['has', 'is to get by a change that goes on'])(
    'stays, though no link leads there, where a pod %s it',
    async (what) => {
      await machine.start()
      await machine.pod('pod', { policy })
      const before = objects()
      const link = machine.linkOf('pod')
      for (const map of ['egress', 'ingress'])
        nft('delete', 'element', 'inet', machine.table, map, `{ "${link}" }`)
      if (what !== 'has') {
        const file = `${machine.stateDir}/pods/pod`
        const record = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as PodRecord
        const changing = { ports: [], bandwidth: {}, annotations: {}, policy }
        const { policy: _, ...without } = record
        writeFileSync(`${file}.changing`, JSON.stringify({ ...without, changing }))
      }
      await collect()
      expect(objects()).toEqual(before)
    },
  )

  it('goes at once where it is refused while it is filled', async () => {
    await machine.start()
    await machine.pod('pod')
    const { stateDir } = machine
    const kernel = openKernel()
    const firewall = openFirewall(
      () => machine.table,
      () => [],
    )
    onTestFinished(() => {
      firewall.close()
      kernel.close()
    })
    let left = 3
    const seen: string[][] = []
    const refusing: Firewall = Object.create(firewall, {
      transact: {
        value(steps: Parameters<Firewall['transact']>[0]) {
          if (--left === 0) {
            seen.push(objects())
            throw new Error('no room')
          }
          firewall.transact(steps)
        },
      },
    })
    const peers = Array.from({ length: 3000 }, (_, at) => ({
      namespace: 'test',
      name: `p${at}`,
      addresses: [{ address: `10.90.${at >> 8}.${at & 255}` }],
      annotations: {},
    }))
    const policies = openPolicies({ stateDir, firewall: refusing, kernel, peers })
    const record = openRecords(stateDir).read('pod')
    if (!record) throw new Error('there is no pod')
    await expect(policies.replace({ ...record, policy })).rejects.toThrow('no room')
    expect(seen.flat()).not.toEqual([])
    expect(objects()).toEqual([])
  })
})
