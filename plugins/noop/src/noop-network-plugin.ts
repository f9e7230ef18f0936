import { DEFAULT_PLUGIN_NAME, type Logger, type NetworkPlugin } from '@podwire/api'
import { callIptablesForBridges } from './bridge-netfilter.ts'

/** @param sysctlDir elsewhere in tests: `/proc/sys/net/bridge` */
export function noopNetworkPlugin(log: Logger, sysctlDir?: string): NetworkPlugin {
  return {
    name: DEFAULT_PLUGIN_NAME,
    init: () => callIptablesForBridges(log, sysctlDir),
    event() {},
    capabilities: () => 0,
    async setUpPod() {},
    async tearDownPod() {},
    async getPodNetworkStatus() {
      return undefined
    },
    async status() {},
  }
}
