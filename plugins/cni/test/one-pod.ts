// Run by itself: `one-pod.ts DIRECTORY NETNS` sets pods of the namespace up and down, until it is killed.
import { fakeHost, fakePod } from '@podwire/testing'
import { startPlugin } from './start-plugin.ts'

const [directory = '', netns = ''] = process.argv.slice(2)
const host = fakeHost()
const plugin = await startPlugin(host, directory)
const { signal } = new AbortController()
console.log('ready')
for (let round = 0; ; round++) {
  const sandboxId = `killed-${process.pid}-${round}`
  const portMappings = [{ hostPort: 18_082, containerPort: 80, protocol: 'tcp' as const }]
  const annotations = { 'kubernetes.io/ingress-bandwidth': '20M', 'kubernetes.io/egress-bandwidth': '20M' }
  const pod = fakePod({ sandboxId, netns, annotations, portMappings })
  host.sandboxes.set(sandboxId, netns)
  await plugin.setUpPod(pod, signal)
  await plugin.tearDownPod(pod, signal)
}
