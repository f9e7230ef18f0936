import { once } from 'node:events'
import { watch } from 'node:fs'
import type { Policy } from '@podwire/api'
import { links, openNetlink } from '@podwire/netlink'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Firewall, openFirewall } from '../../src/firewall/firewall.ts'
import { type Kernel, openKernel } from '../../src/kernel/kernel.ts'
import { openRecords } from '../../src/pods/records.ts'
import type { Policies } from '../../src/policy/policies.ts'
import { describeIsolated, run, useMachine } from '../support/machine.ts'
import { openPolicies } from '../support/policies.ts'

const policy: Policy = { ingress: { default: 'deny', allow: [{ pod: '*/*' }] } }

describeIsolated('policies in tables that are made anew', () => {
  const machine = useMachine()
  const root = new URL('../../../..', import.meta.url).pathname
  const script = new URL('../support/tear-down.ts', import.meta.url).pathname
  let kernel: Kernel
  let firewall: Firewall
  /** What happens between the look at the records and the tables. */
  let meanwhile = () => {}

  /** Two pods, `selecting` with a policy; and another process that makes their tables. */
  beforeEach(async () => {
    await machine.start()
    await machine.pod('selecting', { policy })
    await machine.pod('other')
    const { stateDir } = machine
    kernel = openKernel()
    let policies: Policies
    firewall = openFirewall(
      () => machine.table,
      () => [],
      (table) => {
        const made = policies.rebuilt(table)
        meanwhile()
        meanwhile = () => {}
        return made
      },
    )
    policies = openPolicies({ stateDir, firewall, kernel })
  })
  afterEach(() => {
    firewall.close()
    kernel.close()
  })

  /** The tables are gone, and then there again. */
  function makeAnew() {
    run('nft', ['delete', 'table', 'inet', machine.table])
    const plan = { linkPrefix: 'pw', networks: [], direct: [], hairpin: true, connections: 0 }
    firewall.apply({ ...plan, dropDuplicatesFrom: undefined })
    expect(firewall.problem).toBeUndefined()
  }

  const tearDownElsewhere = (id: string) =>
    run(process.execPath, ['--import', `${root}.dev/run-source.mjs`, script, machine.stateDir, id])
  const rules = () => run('nft', ['list', 'table', 'inet', machine.table])
  /** What the kernel has of a policy is called so. */
  const ofPolicy = /-[0-9a-f]{32}\b/
  const addressOf = { selecting: '10.88.0.2', other: '10.88.0.3' }

  it('are those of the pods that are there', () => {
    makeAnew()
    expect(rules()).toContain(machine.linkOf('selecting'))
    expect(rules()).toContain(addressOf.other)
  })

  it('have nothing of a pod that another process tears down meanwhile', () => {
    meanwhile = () => tearDownElsewhere('selecting')
    makeAnew()
    expect(rules()).not.toMatch(ofPolicy)
  })

  it('do not speak of a pod that another process tears down meanwhile', () => {
    meanwhile = () => tearDownElsewhere('other')
    makeAnew()
    expect(rules()).toContain(machine.linkOf('selecting'))
    expect(rules()).not.toContain(addressOf.other)
  })

  it('hold for a pod that leaves, and that others speak of, until its link is gone', () => {
    const all = ['selecting', 'other'] as const
    for (const id of all) openRecords(machine.stateDir).markLeaving(id)
    const [own, other] = all.map(machine.linkOf)
    makeAnew()
    expect(rules()).toContain(own)
    expect(rules()).toContain(addressOf.other)
    using netlink = openNetlink()
    netlink.runSync(links.del(other ?? ''))
    makeAnew()
    expect(rules()).toContain(own)
    expect(rules()).not.toContain(addressOf.other)
    netlink.runSync(links.del(own ?? ''))
    makeAnew()
    expect(rules()).not.toMatch(ofPolicy)
  })

  it('can tell whose pods leave by what their records are called', async () => {
    for (const id of ['other', 'selecting']) {
      const watcher = watch(`${machine.stateDir}/pods`)
      const seen: unknown[] = []
      watcher.on('change', (_, name) => seen.push(name))
      await machine.remove(id)
      await expect.poll(() => seen).toContain(`${id}.leaving`)
      watcher.close()
      await once(watcher, 'close')
    }
  })
})
