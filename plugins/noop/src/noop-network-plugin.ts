import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { DEFAULT_PLUGIN_NAME, type Logger, messageOf, type NetworkPlugin } from '@podwire/api'

const sysctls = ['net/bridge/bridge-nf-call-iptables', 'net/bridge/bridge-nf-call-ip6tables']

/**
 * The plugin that leaves networking alone. All it does is let the firewall see bridged traffic, as the kubelet's
 * `NoopNetworkPlugin` did, for whoever else makes the bridges.
 */
export function noopNetworkPlugin(log: Pick<Logger, 'warn'>): NetworkPlugin {
  return {
    name: DEFAULT_PLUGIN_NAME,
    init: async () => {
      // Built into the kernel, or loaded already, or not to be had: the sysctls tell.
      await promisify(execFile)('modprobe', ['br-netfilter'], { timeout: 10_000 }).catch(() => {})
      for (const sysctl of sysctls) {
        await writeFile(`/proc/sys/${sysctl}`, '1').catch((error: unknown) =>
          log.warn(`can't set sysctl ${sysctl} to 1: ${messageOf(error)}`),
        )
      }
    },
    event: () => {},
    capabilities: () => 0,
    setUpPod: async () => {},
    tearDownPod: async () => {},
    getPodNetworkStatus: async () => undefined,
    status: async () => {},
  }
}
