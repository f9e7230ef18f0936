import { spawnSync } from 'node:child_process'
import { createNetworkHost, inSandbox } from 'podwire'

const host = await createNetworkHost({ configFile: process.argv[2] ?? 'podwire.config.json' })
const pod = { namespace: 'default', name: 'job-1' }
const sandbox = await host.setUpPod(pod)
console.log(`${pod.name} has ${sandbox.status?.ip}`)
await inSandbox(sandbox, () => spawnSync('ip', ['-brief', 'address'], { stdio: 'inherit' }))
await host.tearDownPod(pod)
await host.close()
