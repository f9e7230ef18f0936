import { createNetworkHost, type NetworkHost } from '@podwire/core'
import { startDaemon } from '@podwire/daemon'
import { isIsolated, recordingLogger } from '@podwire/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { afterThis, configured, startTestDaemon, until } from './daemon.ts'

/** What the plugin of this test keeps for it. */
const kept = globalThis as unknown as {
  wanted: boolean[]
  report(event: string, details: object): void
}

const pod = { namespace: 'default', name: 'web', sandboxId: 's' }
const flow = { pod, direction: 'egress', protocol: 'tcp', address: '192.0.2.1', port: 443, count: 2 }

/** Reports a connection that is open to whoever begins to ask, and one that ended to whoever ends. */
const plugin = `
  init: async (host) => { globalThis.report = host.report },
  event: async (name, { wanted }) => {
    if (name !== 'flows-wanted') return
    globalThis.wanted.push(wanted)
    globalThis.report(wanted ? 'flow:allowed' : 'flow:closed', ${JSON.stringify(flow)})
  },`

const events = ['flow:allowed', 'flow:closed', 'flow:denied', 'flow:lost'] as const

function heardBy(host: NetworkHost): unknown[] {
  const heard: unknown[] = []
  for (const name of events) host.events.on(name, (event) => heard.push([name, event]))
  return heard
}

describe.skipIf(!isIsolated())('the flows of a daemon, by its client', () => {
  beforeEach(() => {
    kept.wanted = []
  })

  test('are those that a host in process tells, all that happened before its end among them', async () => {
    const denied = { ...flow, rule: 'default', first: '2026-01-01T00:00:00Z', last: '2026-01-01T00:00:00Z' }
    const { load } = configured(plugin)
    const local = await createNetworkHost({ config: await load() })
    const toldBy = async (host: NetworkHost) => {
      const heard = heardBy(host)
      const end = await host.watchFlows()
      await until(() => heard.length === 1)
      kept.report('flow:denied', denied)
      for (let port = 0; port < 100; port++) kept.report('flow:closed', { ...flow, port })
      kept.report('flow:lost', {})
      await end()
      // Denied ones come by another way.
      await until(() => heard.length === 103 + Number(host === local))
      return heard.filter(
        (one) => JSON.stringify(one) !== JSON.stringify(['flow:closed', { plugin: 'odd', ...flow }]),
      )
    }
    const inProcess = await toldBy(local)
    await local.close()
    const { host } = await startTestDaemon(plugin)
    const byDaemon = await toldBy(host)
    const sorted = (all: unknown[]) => all.map((one) => JSON.stringify(one)).sort()
    expect(sorted(byDaemon)).toEqual(sorted(inProcess))
    await until(() => kept.wanted.length === 4)
    expect(kept.wanted).toEqual([true, false, true, false])
  })

  test('are watched by the daemon that comes after it, too, and by none that there is not', async () => {
    const { daemon, host, load } = await startTestDaemon(plugin)
    const heard = heardBy(host)
    const end = await host.watchFlows()
    await daemon.stop()
    kept.wanted = []
    const next = await startDaemon({ load, log: recordingLogger(), version: '', env: {} })
    afterThis(() => next.stop(0))
    await until(() => kept.wanted.includes(true))
    const before = heard.length
    kept.report('flow:lost', {})
    await until(() => heard.length > before)
    await next.stop()
    await end()
    await expect(host.watchFlows()).rejects.toThrow(expect.objectContaining({ code: 'DAEMON_NOT_RUNNING' }))
  })
})
