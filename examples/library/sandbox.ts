import { spawnSync } from 'node:child_process'
import { createNetworkHost, inNamespace } from 'podwire'

const host = await createNetworkHost({ configFile: process.argv[2] ?? 'podwire.config.json' })
const pod = { namespace: 'default', name: 'job-1' }
const { netns, status } = await host.setUpPod(pod)
console.log(`${pod.name} has ${status?.ip}`)
await inNamespace(netns, () => spawnSync('ip', ['-brief', 'address'], { stdio: 'inherit' }))
await host.tearDownPod(pod)
await host.close()
