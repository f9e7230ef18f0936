// Sets a pod up and changes its ports and limits without end, until it is killed. Arguments: state directory, data path, namespace.
import { defaultOptions } from '../../src/options.ts'
import { createKubenet } from '../../src/plugin.ts'
import { createTestHost } from './host.ts'

const [stateDir = '', path, netns = ''] = process.argv.slice(2)
const datapath = path === 'bridge' ? 'bridge' : 'routed'
const host = createTestHost()
const log = { debug() {}, info() {}, warn: console.error, error: console.error }
const plugin = createKubenet({ options: { ...defaultOptions, datapath, repairInterval: 0 }, stateDir, log })
await plugin.init(host, { hairpinMode: 'hairpin-veth', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 })
await plugin.event('pod-cidr-change', { 'pod-cidr': '10.88.0.0/16,fd88::/64' })

for (let round = 0; ; round++) {
  const settings = {
    annotations: {
      'kubernetes.io/ingress-bandwidth': `${10 + (round % 2)}M`,
      'kubernetes.io/egress-bandwidth': `${10 + (round % 3)}M`,
    },
    portMappings: [0, 1, 2].map((index) => ({
      hostPort: 7000 + index + (round % 5),
      containerPort: 80,
      protocol: 'tcp' as const,
    })),
  }
  await plugin.setUpPod(host.addPod('a', netns, settings), new AbortController().signal)
  process.stdout.write('.')
}
