import { readFileSync, writeFileSync } from 'node:fs'
import type { Policy } from '@podwire/api'
import { expect, it } from 'vitest'
import { describeIsolated, never, run, useMachine } from '../support/machine.ts'

const policy: Policy = {
  egress: { default: 'deny', allow: [{ cidr: '192.0.2.0/24' }, { host: 'example.org' }] },
}

describeIsolated('pods whose policies can’t be made again with the tables', () => {
  const machine = useMachine()

  it('are cut off, which the status says until they are made', async () => {
    const outside = await machine.outside()
    await outside.serve('tcp', 80, 'outside')
    await machine.start({ options: { nameServers: ['192.0.2.53'] } })
    await machine.pod('pod', { policy })
    await machine.pod('open')
    const [pod, open] = [await machine.peer('pod'), await machine.peer('open')]
    const reach = (peer = pod) => peer.ask('tcp', '192.0.2.2', 80, { timeout: 300 })
    expect(await reach()).toMatch(/^outside/)

    // The kernel takes one resolver for each pod and family.
    const file = `${machine.stateDir}/pods/pod.json`
    const record = readFileSync(file, 'utf8')
    const { addresses, ...rest } = JSON.parse(record)
    const odd = { ...addresses[0], address: '10.88.0.200', gateway: '192.0.2.1' }
    writeFileSync(file, JSON.stringify({ ...rest, addresses: [...addresses, odd] }))
    run('nft', ['flush', 'ruleset'])
    await machine.plugin.event('repair', {})
    for (let times = 0; times < 2; times++) {
      await expect(machine.plugin.status()).rejects.toMatchObject({ code: 'POLICIES_CUT_OFF' })
      expect([await reach(), await reach(open)]).toEqual(['timeout', expect.stringMatching(/^outside/)])
      // Nothing is there that was to be changed.
      await machine.plugin.event('repair', {})
    }

    writeFileSync(file, record)
    await machine.plugin.event('repair', {})
    await machine.plugin.status()
    expect(await reach()).toMatch(/^outside/)
    await machine.plugin.checkPod?.(machine.sandbox('pod'), never())
  })
})
