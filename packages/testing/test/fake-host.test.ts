import { expect, test } from 'vitest'
import { fakeHost, fakePod, recordingLogger } from '../src/index.ts'

test('finds the namespaces, pods and ports it was given', async () => {
  const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] as const
  const host = fakeHost({
    sandboxes: { s1: '/run/netns/s1' },
    pods: [{ name: 'api', sandboxId: 's1', annotations: { a: 'b' }, portMappings }],
  })
  expect(await host.getNetNS('s1')).toBe('/run/netns/s1')
  expect(await host.getPodPortMappings('s1')).toEqual(portMappings)
  expect(await host.getPodByName('default', 'api')).toMatchObject({ annotations: { a: 'b' } })
  expect(await host.getPodPortMappings('s2')).toEqual([])
  expect(await host.getPodByName('default', 'other')).toBeUndefined()
})

test('rejects for a sandbox it does not know, as a host does', async () => {
  await expect(fakeHost({ sandboxes: { s1: '/x' } }).getNetNS('s2')).rejects.toMatchObject({
    code: 'UNKNOWN_SANDBOX',
    message: expect.stringContaining('only: s1'),
  })
})

test('knows the namespaces of its pods', async () => {
  const host = fakeHost({ pods: [{ sandboxId: 's1' }, { sandboxId: 's2', netns: '/proc/7/ns/net' }] })
  expect(await host.getNetNS('s1')).toBe('/run/netns/s1')
  expect(await host.getNetNS('s2')).toBe('/proc/7/ns/net')
})

test('makes pods as a host hands them over, their limits parsed', () => {
  expect(fakePod({ sandboxId: 's1' })).toEqual({
    namespace: 'default',
    name: 'web',
    sandboxId: 's1',
    netns: '/run/netns/s1',
    annotations: {},
    portMappings: [],
  })
  const annotations = { 'kubernetes.io/ingress-bandwidth': '10M' }
  expect(fakePod({ annotations }).bandwidth).toEqual({ ingress: 10e6 })
})

test('changes while the test runs', async () => {
  const host = fakeHost()
  host.sandboxes.set('s1', '/run/netns/s1')
  host.pods.push(fakePod({ name: 'late' }))
  expect(await host.getNetNS('s1')).toBe('/run/netns/s1')
  expect(await host.getPodByName('default', 'late')).toBeDefined()
  host.sandboxes.delete('s1')
  await expect(host.getNetNS('s1')).rejects.toThrow('s1')
})

test('supports legacy features by default', () => {
  const kubeClient = {}
  const host = fakeHost({ kubeClient })
  expect(host.supportsLegacyFeatures()).toBe(true)
  expect(host.getKubeClient()).toBe(kubeClient)
  expect(host.getContainerRuntime()).toBeUndefined()
  expect(fakeHost({ supportsLegacyFeatures: false }).supportsLegacyFeatures()).toBe(false)
})

test('records what a plugin reports', () => {
  const host = fakeHost()
  host.report('repaired', { rules: 2 })
  expect(host.reports).toEqual([{ event: 'repaired', details: { rules: 2 } }])
})

test('recordingLogger keeps level, message and details', () => {
  const log = recordingLogger()
  log.info('up', { ip: '10.88.0.2' })
  log.warn('odd')
  expect(log.entries).toEqual([
    { level: 'info', message: 'up', details: { ip: '10.88.0.2' } },
    { level: 'warn', message: 'odd', details: {} },
  ])
  expect(log.messages('warn')).toEqual(['odd'])
  expect(log.messages()).toEqual(['up', 'odd'])
})
