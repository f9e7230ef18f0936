import { join } from 'node:path'
import { isIsolated, recordingLogger } from '@podwire/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { createNetworkHost, type NetworkHost, type NetworkHostOptions } from '../../src/index.ts'
import { offering, workspace } from '../workspace.ts'

const web = { namespace: 'default', name: 'web' }
const calls = () => (globalThis as { calls?: unknown[] }).calls ?? []
const hosts: NetworkHost[] = []

afterEach(async () => {
  await hosts.at(-1)?.prune({ all: true })
  for (const host of hosts.splice(0)) await host.close()
})

/** A host with one plugin that records what it is asked to set up. */
async function hostWith(body: string, options: NetworkHostOptions = {}) {
  const files = await workspace()
  const recording = `
    setUpPod: async (pod) => { globalThis.calls.push(pod.policy); return { ip: '192.0.2.7' } },`
  await files.plugin('podwire-plugin-x', { code: offering('x', recording + body) })
  Object.assign(globalThis, { calls: [] })
  const log = recordingLogger()
  const stateDir = join(files.dir, 'state')
  const start = async (more: NetworkHostOptions = {}) => {
    const all = { cwd: files.dir, log, config: { networkPlugin: 'x', stateDir }, ...options, ...more }
    const host = await createNetworkHost({ ...all, stateDir })
    hosts.push(host)
    return host
  }
  return { log, start, host: await start() }
}

describe.skipIf(!isIsolated())('a policy', () => {
  const policy = { egress: { default: 'deny' as const } }
  const able = 'capabilities: () => 64,'

  test('is not left out where the plugin lacks it, even where that is only warned of', async () => {
    const { host, log } = await hostWith('', { config: { networkPlugin: 'x', onMissingCapability: 'warn' } })
    await expect(host.setUpPod({ ...web, policy })).rejects.toMatchObject({
      code: 'MISSING_CAPABILITY',
      message: expect.stringMatching(/default\/web.*policy.*x/),
    })
    expect([calls(), await host.pods(), log.messages()]).toEqual([[], [], []])
  })

  test('reaches the plugin, and is kept; a side that the pod says nothing of is the configuration’s', async () => {
    const base = { egress: { default: 'allow' as const }, ingress: { default: 'deny' as const } }
    const { start } = await hostWith(able, { config: { networkPlugin: 'x', policy: base } })
    const host = await start()
    await host.setUpPod({ ...web, policy })
    await host.setUpPod({ ...web, name: 'other' })
    expect(calls()).toEqual([{ ...base, ...policy }, base])
    expect((await (await start()).pod(web))?.pod.policy).toEqual({ ...base, ...policy })
    await host.setUpPod(web)
    expect(calls()).toHaveLength(3)
  })

  test('that is wrong is refused with all that is wrong, before anything else', async () => {
    const { host } = await hostWith(able)
    const wrong = { egress: { default: 'deny' as const, allow: [{ ports: [0] }, { host: '*' }] } }
    await expect(host.setUpPod({ ...web, policy: wrong })).rejects.toMatchObject({
      code: 'INVALID_POD',
      message: expect.stringMatching(/allow\[0\].ports.*allow\[1\].host/),
    })
  })

  test('with names needs a process that stays', async () => {
    const { start } = await hostWith(able)
    const named = { ...web, policy: { egress: { default: 'deny' as const, allow: [{ host: 'a.org' }] } } }
    await expect((await start({ resident: false })).setUpPod(named)).rejects.toMatchObject({
      code: 'POLICY_NEEDS_HOST',
      message: expect.stringContaining('"a.org"'),
    })
    await (await start()).setUpPod(named)
  })

  test('is given to a plugin that is told where the host does not stay', async () => {
    const { start } = await hostWith(
      `${able} init: async (host, options) => { globalThis.calls.push(options.resident) },`,
    )
    await (await start({ resident: false })).setUpPod({ ...web, policy })
    await start()
    expect(calls()).toEqual([undefined, false, policy, undefined])
  })

  test('with names is not mended by a process that does not stay: that would end its DNS', async () => {
    const { host, start } = await hostWith(
      `capabilities: () => 72, checkPod: async () => { throw new Error('changed') }, event: (name, details) => { globalThis.calls.push([name, details]) },`,
    )
    await host.setUpPod({ ...web, policy: { egress: { default: 'deny', allow: [{ host: 'a.org' }] } } })
    const passing = await start({ resident: false })
    expect(await passing.repair()).toMatchObject([{ failed: expect.stringContaining('"a.org"') }])
    expect(calls().slice(1)).toEqual([['repair', { resident: false }]])
    expect(await host.repair()).toMatchObject([{ repaired: expect.stringContaining('changed') }])
    expect(calls()[2]).toEqual(['repair', { resident: true }])
  })

  test('tells of what it denied by an event of its own', async () => {
    const flow = {
      pod: { ...web, sandboxId: 's' },
      direction: 'egress' as const,
      protocol: 'tcp',
      address: '192.0.2.1',
      port: 443,
      rule: 'default',
      count: 2,
      first: '2026-01-01T00:00:00.000Z',
      last: '2026-01-01T00:00:01.000Z',
    }
    const reporting = `init: async (host) => { globalThis.report = host.report },`
    const { host } = await hostWith(reporting)
    const heard: unknown[] = []
    host.events.on('flow:denied', (event) => heard.push(event))
    host.events.on('plugin:report', ({ event }) => heard.push(event))
    const { report } = globalThis as unknown as { report(event: string, details: object): void } // what init kept
    report('flow:denied', flow)
    report('flow:denied', { ...flow, count: 'many' })
    expect(heard).toEqual([{ plugin: 'x', ...flow }, 'flow:denied'])
  })
})
