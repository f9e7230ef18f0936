import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { startTestDaemon, until } from './daemon.ts'

describe.skipIf(!isIsolated())('the metrics of a daemon', () => {
  test('count operations by plugin and outcome, pods by phase, addresses, and the process', async () => {
    const { ask } = await startTestDaemon(
      `setUpPod: async (pod) => { if (pod.name === 'bad') throw new Error('no'); return { ip: '192.0.2.9', ips: ['192.0.2.9', 'fd00::9'] } },`,
      { podCIDR: '192.0.2.0/24,fd00::/120', onMissingCapability: 'warn' },
    )
    await ask('PUT', '/v1/pods/default/web', {})
    await ask('PUT', '/v1/pods/default/db', {})
    await ask('PUT', '/v1/pods/default/bad', {})
    await ask('DELETE', '/v1/pods/default/db')
    const { text, headers } = await ask('GET', '/metrics')
    expect(headers['content-type']).toContain('text/plain')
    const value = (line: string) =>
      Number(
        text
          .split('\n')
          .find((one) => one.startsWith(`${line} `))
          ?.split(' ')
          .at(-1),
      )
    const count = 'podwire_operation_duration_seconds_count'
    expect(value(`${count}{plugin="odd",operation="set up",outcome="done"}`)).toBe(2)
    expect(value(`${count}{plugin="odd",operation="set up",outcome="failed"}`)).toBe(1)
    expect(value('podwire_pods{phase="ready"}')).toBe(1)
    expect(value('podwire_addresses{family="ipv4",state="used"}')).toBe(1)
    expect(value('podwire_addresses{family="ipv4",state="free"}')).toBe(253)
    expect(value('podwire_addresses{family="ipv6",state="used"}')).toBe(1)
    expect(
      value('podwire_request_duration_seconds_count{route="/v1/pods/:namespace/:name",status="200"}'),
    ).toBe(3)
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(1e7)
    expect(value('podwire_info{version="0.0.0"}')).toBe(1)
    expect(text).toContain('podwire_event_loop_delay_seconds')
  })

  test('count how often a plugin’s process ended, and was started again', async () => {
    const { ask } = await startTestDaemon(
      `setUpPod: async (pod) => { if (pod.name === 'crash') process.exit(1); return { ip: '192.0.2.9' } },`,
      { isolation: 'process' },
    )
    await ask('PUT', '/v1/pods/default/crash', {})
    expect((await ask('GET', '/metrics')).text).toContain('podwire_plugin_crashes_total{plugin="odd"} 1')
    await until(async () =>
      (await ask('GET', '/metrics')).text.includes('podwire_plugin_restarts_total{plugin="odd"} 1'),
    )
  })

  test('of a daemon that can set no pods up say so, as does its readiness', async () => {
    const { ask } = await startTestDaemon(`status: async () => { throw new Error('no uplink') },`)
    expect(await ask('GET', '/readyz')).toMatchObject({ status: 503, text: 'no uplink\n' })
    expect(await ask('GET', '/healthz')).toMatchObject({ status: 200 })
    expect((await ask('GET', '/v1/status')).body.readiness).toEqual({ ready: false, reason: 'no uplink' })
    expect((await ask('GET', '/metrics')).text).toContain('podwire_ready 0')
  })
})
