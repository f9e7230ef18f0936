import { definePlugin } from '@podwire/api'
import { noopNetworkPlugin } from './noop-network-plugin.ts'

export { noopNetworkPlugin }

/** `kubernetes.io/no-op`: leaves every pod's network as it is. Source: the kubelet's `NoopNetworkPlugin`. */
export default definePlugin({ apiVersion: 1, probe: ({ log }) => [noopNetworkPlugin(log)] })
