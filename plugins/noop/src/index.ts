import { definePlugin } from '@podwire/api'
import { noopNetworkPlugin } from './noop-network-plugin.ts'

export { noopNetworkPlugin }

export default definePlugin({ apiVersion: 1, probe: ({ log }) => [noopNetworkPlugin(log)] })
