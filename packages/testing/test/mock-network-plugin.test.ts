import { Capability, NET_PLUGIN_EVENT_POD_CIDR_CHANGE } from '@podwire/api'
import { describe, expect, test } from 'vitest'
import {
  after,
  fakeHost,
  fakePod,
  hangs,
  hangsForever,
  mockNetworkPlugin,
  rejects,
  resolves,
  throws,
} from '../src/index.ts'

const signal = new AbortController().signal
const pod = fakePod()

describe('mockNetworkPlugin', () => {
  test('records every call with its arguments, in order', async () => {
    const plugin = mockNetworkPlugin()
    const host = fakeHost()
    const options = { hairpinMode: 'none', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 } as const
    await plugin.init(host, options)
    await plugin.event(NET_PLUGIN_EVENT_POD_CIDR_CHANGE, { 'pod-cidr': '10.88.0.0/16' })
    await plugin.setUpPod(pod, signal)
    await plugin.tearDownPod(pod, signal)
    await plugin.status()
    expect(plugin.calls).toEqual([
      { method: 'init', args: [host, options] },
      { method: 'event', args: ['pod-cidr-change', { 'pod-cidr': '10.88.0.0/16' }] },
      { method: 'setUpPod', args: [pod, signal] },
      { method: 'tearDownPod', args: [pod, signal] },
      { method: 'status', args: [] },
    ])
    expect(plugin.callsOf('setUpPod')).toEqual([[pod, signal]])
  })

  test('does nothing and succeeds where nothing is scripted', async () => {
    const plugin = mockNetworkPlugin()
    expect(plugin.name).toBe('mock')
    expect(plugin.capabilities()).toBe(0)
    expect(await plugin.setUpPod(pod, signal)).toBeUndefined()
    expect(await plugin.getPodNetworkStatus(pod, signal)).toBeUndefined()
    expect(plugin.checkPod).toBeUndefined()
    expect(plugin.collectGarbage).toBeUndefined()
  })

  test('takes a list of answers one by one and repeats the last', async () => {
    const plugin = mockNetworkPlugin({
      answers: { setUpPod: [rejects(new Error('busy')), resolves({ ip: '10.88.0.2' })] },
    })
    await expect(plugin.setUpPod(pod, signal)).rejects.toThrow('busy')
    expect(await plugin.setUpPod(pod, signal)).toEqual({ ip: '10.88.0.2' })
    expect(await plugin.setUpPod(pod, signal)).toEqual({ ip: '10.88.0.2' })
  })

  test('answers from its arguments when the answer is a function, and can be scripted anew', async () => {
    const plugin = mockNetworkPlugin({ answers: { setUpPod: async ({ sandboxId }) => ({ ip: sandboxId }) } })
    expect(await plugin.setUpPod(pod, signal)).toEqual({ ip: 'sandbox-1' })
    plugin.answer('setUpPod', resolves())
    expect(await plugin.setUpPod(pod, signal)).toBeUndefined()
    plugin.answer('capabilities', () => Capability.shaping)
    expect(plugin.capabilities()).toBe(Capability.shaping)
  })

  test('offers the optional methods that its capabilities announce', async () => {
    const plugin = mockNetworkPlugin({ name: 'acme.io/all', capabilities: Capability.check | Capability.gc })
    await plugin.checkPod?.(pod, signal)
    await plugin.collectGarbage?.(['a'], signal)
    expect(plugin.callsOf('checkPod')).toEqual([[pod, signal]])
    expect(plugin.callsOf('collectGarbage')).toEqual([[['a'], signal]])
  })
})

describe('answers', () => {
  test('rejects with whatever a careless plugin would throw', async () => {
    const plugin = mockNetworkPlugin({
      answers: { status: rejects('not an error'), event: throws(new Error('at once')) },
    })
    await expect(plugin.status()).rejects.toBe('not an error')
    expect(() => plugin.event('x', {})).toThrow('at once')
  })

  test('hangs until the signal aborts, and then rejects with its reason', async () => {
    const plugin = mockNetworkPlugin({ answers: { setUpPod: hangs() } })
    const controller = new AbortController()
    const setUp = plugin.setUpPod(pod, controller.signal)
    const reason = new Error('deadline')
    controller.abort(reason)
    await expect(setUp).rejects.toBe(reason)
    await expect(plugin.setUpPod(pod, controller.signal)).rejects.toBe(reason)
  })

  test('hangs for ever, deaf to its signal', async () => {
    const plugin = mockNetworkPlugin({ answers: { setUpPod: hangsForever() } })
    const pending = Symbol('pending')
    const setUp = plugin.setUpPod(pod, AbortSignal.abort())
    const first = await Promise.race([setUp, new Promise((resolve) => setTimeout(resolve, 20, pending))])
    expect(first).toBe(pending)
  })

  test('comes later, or not at all when the signal aborts before', async () => {
    const plugin = mockNetworkPlugin({ answers: { setUpPod: after(30, resolves({ ip: '10.88.0.2' })) } })
    const start = performance.now()
    expect(await plugin.setUpPod(pod, signal)).toEqual({ ip: '10.88.0.2' })
    expect(performance.now() - start).toBeGreaterThan(25)
    const reason = new Error('deadline')
    await expect(plugin.setUpPod(pod, AbortSignal.abort(reason))).rejects.toBe(reason)
  })
})
