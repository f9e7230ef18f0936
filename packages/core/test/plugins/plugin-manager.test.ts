import { hangs, hangsForever, mockNetworkPlugin, rejects, resolves, throws } from '@podwire/testing'
import { expect, test } from 'vitest'
import { currentOperation } from '../../src/current-operation.ts'
import { createPluginManager } from '../../src/plugins/plugin-manager.ts'

const ref = { namespace: 'default', name: 'web', sandboxId: 'sb' }
const pod = { ...ref, netns: '/run/netns/sb', annotations: {}, portMappings: [] }
const deadlines = {
  init: 50,
  event: 50,
  setUpPod: 50,
  tearDownPod: 50,
  getPodNetworkStatus: 50,
  status: 50,
  checkPod: 50,
  collectGarbage: 50,
}

test.each([
  ['throws', throws(new Error('no luck')), 'no luck'],
  ['rejects', rejects(new Error('no luck')), 'no luck'],
  ['rejects with a string', rejects('bare'), 'bare'],
  ['rejects with nothing', rejects(undefined), 'a value that is not an error was thrown: undefined'],
  ['hangs until the signal', hangs(), 'network plugin "x" (set up): not done within 50 ms'],
  ['returns a number', resolves(7), 'returned 7 from setUpPod'],
  ['returns an invalid address', resolves({ ip: '10.0.0.300' }), 'ip: not an IP address'],
  ['returns no address', resolves({}), 'from setUpPod: ip'],
  ['returns a wrong list', resolves({ ip: '10.0.0.3', ips: ['x'] }), 'ips.0: not an IP address'],
  ['returns another kind', resolves({ ip: '10.0.0.3', kind: 'Pod' }), 'from setUpPod: kind'],
])('a setUpPod that %s is an error with plugin, operation, pod and time', async (_name, answer, text) => {
  const manager = createPluginManager(
    // What a plugin may return against its contract.
    mockNetworkPlugin({ name: 'x', answers: { setUpPod: answer as () => Promise<void> } }),
    deadlines,
  )
  const error = await manager.setUpPod(pod).catch((thrown: unknown) => thrown)
  expect(String(error)).toMatch(
    /networkPlugin x failed to set up pod "web_default" network after \d+(\.\d)? ms: /,
  )
  expect(String(error)).toContain(text)
})

test('a plugin that ignores its signal is left behind after a grace period', async () => {
  const manager = createPluginManager(
    mockNetworkPlugin({ answers: { tearDownPod: hangsForever() } }),
    deadlines,
  )
  await expect(manager.tearDownPod(pod)).rejects.toThrow('not done within 50 ms')
}, 10_000)

test("the caller's signal reaches the plugin", async () => {
  const manager = createPluginManager(mockNetworkPlugin({ answers: { setUpPod: hangs() } }), {
    ...deadlines,
    setUpPod: 60_000,
  })
  const controller = new AbortController()
  const setUp = manager.setUpPod(pod, controller.signal)
  controller.abort(new Error('the user went away'))
  await expect(setUp).rejects.toThrow('the user went away')
})

test.each([
  ['a float', 1.5],
  ['a string', 'shaping'],
  ['nothing', undefined],
  ['a negative', -1],
])('capabilities that are %s are an error', (_name, returned) => {
  // What a plugin may return against its contract.
  const plugin = { ...mockNetworkPlugin({ name: 'x' }), capabilities: () => returned as number }
  expect(() => createPluginManager(plugin, deadlines).capabilities()).toThrow(
    'from capabilities: not a bitset',
  )
})

test('a status that rejects, throws or hangs is the reason why pods can not be set up', async () => {
  const notReady = (status: ReturnType<typeof rejects>) =>
    createPluginManager(mockNetworkPlugin({ answers: { status } }), deadlines).notReady()
  expect(await notReady(rejects(new Error('cni config uninitialized')))).toBe('cni config uninitialized')
  expect(await notReady(throws('soon'))).toBe('soon')
  expect(await notReady(hangs())).toContain('not done within 50 ms')
  expect(await createPluginManager(mockNetworkPlugin(), deadlines).notReady()).toBeUndefined()
})

test('an event that fails is an error; check and garbage are asked only of plugins that can', async () => {
  const plugin = mockNetworkPlugin({ name: 'x', answers: { event: rejects(new Error('no')) } })
  const manager = createPluginManager(plugin, deadlines)
  await expect(manager.event('repair', {})).rejects.toThrow('networkPlugin x failed to take event "repair"')
  await manager.checkPod(pod)
  await manager.collectGarbage(['sb'])
  expect(plugin.calls.map(({ method }) => method)).not.toContain('checkPod')
})

test('a call that blocks the event loop past its deadline is late, though it returns', async () => {
  const blocks = () => {
    const until = performance.now() + 200
    while (performance.now() < until);
    return Promise.resolve({ ip: '10.0.0.3' })
  }
  const manager = createPluginManager(mockNetworkPlugin({ answers: { setUpPod: blocks } }), deadlines)
  await expect(manager.setUpPod(pod)).rejects.toThrow('not done within 50 ms')
})

test('code knows which call of which plugin it runs in', async () => {
  const seen: unknown[] = []
  const setUpPod = async () => {
    await Promise.resolve()
    seen.push(currentOperation())
  }
  await createPluginManager(mockNetworkPlugin({ name: 'x', answers: { setUpPod } }), deadlines).setUpPod(pod)
  expect(seen).toEqual([{ plugin: 'x', operation: 'set up' }])
  expect(currentOperation()).toBeUndefined()
})
