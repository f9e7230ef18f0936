import {
  capabilitySet,
  type Host,
  type Logger,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
  type NetworkPlugin,
} from '@podwire/api'
import { writeSysctl } from '@podwire/netlink'
import {
  type Connection,
  connect,
  connectionOf,
  disconnect,
  disconnectOthers,
  problemOf,
} from './connection.ts'
import { name } from './name.ts'
import type { Options } from './options.ts'

/**
 * Gives each pod a link of its own to this node, with an IPv4 address of the pod CIDR. The kernel alone remembers who
 * has what: nothing is left behind by a process that is killed.
 */
export function networkPlugin(options: Options, log: Logger): NetworkPlugin {
  let podCIDR: string | undefined
  let host: Host | undefined

  return {
    name,

    async init(given) {
      host = given
      // Pods reach each other, and the world, through this node.
      writeSysctl('net/ipv4/ip_forward', 1)
    },

    event(event, details) {
      const cidr = details[NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]
      if (event === NET_PLUGIN_EVENT_POD_CIDR_CHANGE && typeof cidr === 'string') podCIDR = cidr
    },

    capabilities: () => capabilitySet('check', 'gc'),

    async setUpPod(pod, signal) {
      signal.throwIfAborted()
      const found = await connectionOf(pod)
      if (found && problemOf(found, pod.netns) === undefined) return statusOf(found)
      // What an earlier call left half done, or somebody changed.
      await disconnect(pod)
      signal.throwIfAborted()
      const connection = await connect(pod, { podCIDR: known(podCIDR), ...options })
      log.debug(`pod ${pod.namespace}/${pod.name} has ${connection.address}`, { sandboxId: pod.sandboxId })
      return statusOf(connection)
    },

    async tearDownPod(pod) {
      await disconnect(pod)
    },

    async getPodNetworkStatus(pod) {
      const connection = await connectionOf(pod)
      return connection && statusOf(connection)
    },

    async status() {
      known(podCIDR)
    },

    async checkPod(pod) {
      const connection = await connectionOf(pod)
      const netns = await host?.getNetNS(pod.sandboxId)
      const problem = connection && netns ? problemOf(connection, netns) : 'it has no link to this node'
      if (problem) throw new Error(`pod ${pod.namespace}/${pod.name}: ${problem}`)
    },

    async collectGarbage(validSandboxIds) {
      await disconnectOthers(validSandboxIds)
    },
  }
}

function statusOf({ address }: Connection) {
  return { ip: address, ips: [address] }
}

function known(podCIDR: string | undefined): string {
  if (podCIDR !== undefined) return podCIDR
  throw new Error('the pod CIDR is not known yet: set podCIDR in the configuration, such as 10.88.0.0/16')
}
