// Sets pods up and takes them down without end, until it is killed. It says `ready` before the first of them, and `once` when one
// was up and down. Arguments: state directory, data path, namespaces.
import type { Policy } from '@podwire/api'
import { defaultOptions } from '../../src/options.ts'
import { createKubenet } from '../../src/plugin.ts'
import { createTestHost } from './host.ts'

const [stateDir = '', path, ...namespaces] = process.argv.slice(2)
const datapath = path === 'bridge' ? 'bridge' : 'routed'
const host = createTestHost()
const log = { debug() {}, info() {}, warn: console.error, error: console.error }
const plugin = createKubenet({ options: { ...defaultOptions, datapath, repairInterval: 0 }, stateDir, log })
await plugin.init(host, { hairpinMode: 'hairpin-veth', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 })
await plugin.event('pod-cidr-change', { 'pod-cidr': '10.88.0.0/24,fd88::/64' })
process.stdout.write('ready\n')

/** All of them have it. */
const policy: Policy = { egress: { default: 'deny', allow: [{ cidr: '192.0.2.0/24' }] } }

await Promise.all(namespaces.map(churn))

async function churn(netns: string): Promise<never> {
  const id = netns.slice(netns.indexOf('churn-'))
  const settings = {
    annotations: { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '10M' },
    portMappings: [{ hostPort: 7000 + Number(id.slice(-1)), containerPort: 80, protocol: 'tcp' as const }],
    ...(datapath === 'routed' ? { policy } : {}),
  }
  const pod = host.addPod(id, netns, settings)
  for (let round = 0; ; round++) {
    const { signal } = new AbortController()
    await plugin.setUpPod(pod, signal)
    await plugin.tearDownPod(pod, signal)
    if (round === 0) process.stdout.write('once\n')
  }
}
