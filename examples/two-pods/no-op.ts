// The life of a pod where no network can be made: the no-op plugin takes every call and leaves the network alone.
import type { Host } from '@podwire/api'
import { initNetworkPlugin } from 'podwire'

const host: Host = {
  getNetNS: async () => '/proc/self/ns/net',
  getPodPortMappings: async () => [],
  getPodByName: async () => undefined,
  getKubeClient: () => undefined,
  getContainerRuntime: () => undefined,
  supportsLegacyFeatures: () => false,
  report: () => {},
}
const pod = { namespace: 'demo', name: 'web', sandboxId: 'demo-web' }
const { signal } = new AbortController()

const plugin = await initNetworkPlugin([], '', host, {
  hairpinMode: 'none',
  nonMasqueradeCIDR: '10.0.0.0/8',
  mtu: 0,
})
console.log(`initialised ${plugin.name}`)
await plugin.setUpPod(pod, signal)
console.log(`set up ${pod.namespace}/${pod.name}`)
await plugin.tearDownPod(pod, signal)
console.log(`took ${pod.namespace}/${pod.name} down`)
