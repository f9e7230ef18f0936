import { PEER_PODS_CHANGE, type Policy } from '@podwire/api'
import { expect, it } from 'vitest'
import { describeIsolated, run, useMachine } from '../support/machine.ts'

const closed: Policy = { egress: { default: 'deny' } }
const REFUSED = /^(EHOSTUNREACH|EACCES|timeout)$/

/** Rules that somebody takes away: they are put back, whatever there is of them. */
describeIsolated('a pod whose rules are taken away', () => {
  const machine = useMachine()

  async function guarded(policy: Policy) {
    const outside = await machine.outside()
    await outside.serve('tcp', 80, 'outside')
    // Long: what is seen is seen at once.
    const plugin = await machine.start({ options: { repairInterval: 600_000 } })
    await machine.pod('guard', { policy })
    const peer = await machine.peer('guard')
    const reach = () => peer.ask('tcp', '192.0.2.2', 80, { timeout: 700 })
    expect(await reach()).toMatch(REFUSED)
    return { plugin, reach }
  }

  it('has them back at once, though a change before changed nothing in the kernel', async () => {
    const { reach } = await guarded({ egress: { default: 'deny', allow: [{ pod: '*/*' }] } })
    await machine.pod('plain', { annotations: { a: '1' } })
    await machine.again('plain', { annotations: { a: '2' } })
    run('nft', ['flush', 'ruleset'])
    await expect.poll(() => run('nft', ['list', 'tables']), { timeout: 20_000 }).toContain(machine.table)
    expect(await reach()).toMatch(REFUSED)
  })

  it('has them back, though others select more pods than a message to the kernel usually holds', async () => {
    const { plugin, reach } = await guarded(closed)
    const hosts = Array.from({ length: 250 }, (_, index) => index + 2)
    const nodes = Array.from({ length: 4 }, (_, node) => ({
      podCIDR: `10.100.${node}.0/24,fd99:0:0:${node}::/64`,
      pods: hosts.map((host) => ({
        namespace: 'many',
        name: `p-${node}-${host}`,
        annotations: {},
        addresses: [`10.100.${node}.${host}`, `fd99:0:0:${node}::${host.toString(16)}`],
      })),
    }))
    await plugin.event(PEER_PODS_CHANGE, { all: nodes.map(({ podCIDR }) => podCIDR), changed: nodes })
    for (const first of [1_000, 2_000]) {
      const allow = Array.from({ length: 40 }, (_, index) => ({ pod: '*/*', ports: [first + index] }))
      await machine.pod(`from-${first}`, { policy: { egress: { default: 'deny', allow } } })
    }
    run('nft', ['flush', 'ruleset'])
    await plugin.event('repair', { resident: true })
    expect(run('nft', ['list', 'tables'])).toContain(machine.table)
    expect(await reach()).toMatch(REFUSED)
  })
})
