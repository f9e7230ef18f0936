import { definePlugin } from '@podwire/api'
import { cniNetworkPlugin } from './cni-network-plugin.ts'
import { cniOptions } from './options.ts'

export { type CniPluginSpec, cniNetworkPlugin } from './cni-network-plugin.ts'
export type { CniOptions } from './options.ts'

export default definePlugin({
  apiVersion: 1,
  options: cniOptions,
  probe: ({ options, configDir, stateDir, log }) => [cniNetworkPlugin({ options, configDir, stateDir, log })],
})
