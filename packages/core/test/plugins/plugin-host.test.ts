import type { Pod } from '@podwire/api'
import { expect, test } from 'vitest'
import { createHostEmitter } from '../../src/events.ts'
import { createPluginHost } from '../../src/plugins/plugin-host.ts'

const web: Pod = {
  namespace: 'default',
  name: 'web',
  sandboxId: 'web-1',
  netns: '/run/netns/web-1',
  annotations: { tier: 'front' },
  portMappings: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80 }],
}

function start() {
  const events = createHostEmitter((_, error) => {
    throw error
  })
  const host = createPluginHost(
    'x',
    {
      get: (id) => (id === web.sandboxId ? { pod: web } : undefined),
      find: ({ name }) => (name === web.name ? { pod: web } : undefined),
    },
    events,
  )
  return { events, host }
}

test("answers what the kubelet's plugins ask, from the records", async () => {
  const { host } = start()
  expect(await host.getNetNS('web-1')).toBe(web.netns)
  expect(await host.getPodPortMappings('web-1')).toEqual(web.portMappings)
  expect(await host.getPodByName('default', 'web')).toEqual(web)
  expect(host.supportsLegacyFeatures()).toBe(true)
  expect([host.getKubeClient(), host.getContainerRuntime()]).toEqual([undefined, undefined])
})

test('knows no sandbox that has no record', async () => {
  const { host } = start()
  await expect(host.getNetNS('web-2')).rejects.toMatchObject({ code: 'UNKNOWN_SANDBOX' })
  expect(await host.getPodPortMappings('web-2')).toEqual([])
  expect(await host.getPodByName('default', 'api')).toBeUndefined()
})

test('tells what a plugin reports under its name', () => {
  const { events, host } = start()
  const reports: unknown[] = []
  events.on('plugin:report', (report) => reports.push(report))
  host.report('lease-lost', { address: '10.88.0.2' })
  expect(reports).toEqual([{ plugin: 'x', event: 'lease-lost', details: { address: '10.88.0.2' } }])
})
