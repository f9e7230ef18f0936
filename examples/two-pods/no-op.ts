// The life of a pod where no network can be made: the no-op plugin takes every call and leaves the network alone.
import noop from '@podwire/plugin-noop'
import { fakeHost, fakePod, recordingLogger } from '@podwire/testing'
import { initNetworkPlugin } from 'podwire'

const pod = fakePod({ namespace: 'demo', name: 'web' })
const { signal } = new AbortController()
const context = { options: undefined, configDir: undefined, stateDir: '/run/podwire', log: recordingLogger() }

const plugins = await noop.probe(context)
const plugin = await initNetworkPlugin(plugins, 'kubernetes.io/no-op', fakeHost({ pods: [pod] }), {
  hairpinMode: 'none',
  nonMasqueradeCIDR: '10.0.0.0/8',
  mtu: 0,
})
console.log(`initialised ${plugin.name}`)
await plugin.setUpPod(pod, signal)
console.log(`set up ${pod.namespace}/${pod.name}`)
await plugin.tearDownPod(pod, signal)
console.log(`tore down ${pod.namespace}/${pod.name}`)
