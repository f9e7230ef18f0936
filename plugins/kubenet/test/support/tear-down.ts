// Tears a pod down as another process does. Arguments: state directory, sandbox id.
import { defaultOptions } from '../../src/options.ts'
import { createKubenet } from '../../src/plugin.ts'
import { createTestHost } from './host.ts'

const [stateDir = '', sandboxId = ''] = process.argv.slice(2)
const log = { debug() {}, info() {}, warn: console.error, error: console.error }
const plugin = createKubenet({ options: { ...defaultOptions, repairInterval: 0 }, stateDir, log })
await plugin.init(createTestHost(), { hairpinMode: 'none', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 })
await plugin.tearDownPod({ namespace: 'test', name: sandboxId, sandboxId }, new AbortController().signal)
await plugin.close?.()
