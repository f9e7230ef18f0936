import {
  Capability,
  capabilitySet,
  FLOWS_WANTED,
  type Logger,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
  type NetworkPlugin,
  PEER_PODS_CHANGE,
  type PodNetworkStatus,
  podKey,
} from '@podwire/api'
import { errors } from './errors.ts'
import { collectGarbage } from './node/garbage.ts'
import { type Node, openNode } from './node/node.ts'
import { prepare, repair, startRepairing } from './node/repair.ts'
import type { KubenetOptions } from './options.ts'
import type { PodRecord } from './pod-record.ts'
import { untilAborted } from './pods/aborting.ts'
import { podDifferences } from './pods/check.ts'
import type { PodContext } from './pods/context.ts'
import { setUpPod } from './pods/set-up.ts'
import { tearDownPod } from './pods/tear-down.ts'

export interface KubenetContext {
  readonly options: KubenetOptions
  readonly stateDir: string
  readonly log: Logger
}

/** The network plugin `kubenet`. */
export function createKubenet({ options, stateDir, log }: KubenetContext): NetworkPlugin {
  let initialised: Node | undefined
  let repairing: { stop(): void } | undefined

  function node(): Node {
    if (!initialised) throw errors.POD_CIDR_UNKNOWN()
    return initialised
  }

  return {
    name: 'kubenet',
    async init(host, init) {
      initialised = openNode({ options, stateDir, log, host, init })
    },
    async event(name, details) {
      if (name === 'repair') await repair(node(), [], details['resident'] === true)
      if (name === 'reset') await node().reset()
      if (name === FLOWS_WANTED) await node().flows.watch(details['wanted'] === true)
      if (name === PEER_PODS_CHANGE) await node().changePeers(details)
      if (name !== NET_PLUGIN_EVENT_POD_CIDR_CHANGE) return
      await node().setPodCidr(String(details[NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]))
      repairing ??= startRepairing(node(), options.repairInterval, log)
    },
    capabilities() {
      const always = capabilitySet('shaping', 'dualStack', 'check', 'gc', 'interfaceNames')
      return initialised?.firewall.problem === undefined
        ? always | Capability.portMappings | Capability.policy
        : always
    },
    async setUpPod(pod, signal) {
      signal.throwIfAborted()
      const context = await prepare(node())
      return statusOf(context, await setUpPod(context, pod, signal))
    },
    async tearDownPod(pod, signal) {
      await untilAborted(tearDownPod(node(), pod), signal)
      await untilAborted(node().dropEarlierNetworks(), signal)
    },
    async getPodNetworkStatus(pod) {
      const record = node().records.read(pod.sandboxId)
      return record && (await statusOf(node(), record))
    },
    status: async () => node().check(),
    async checkPod(pod) {
      const differences = await podDifferences(node(), pod)
      // What one pod lacks all may lack: setting any of them up again puts it back.
      if (node().records.read(pod.sandboxId)) differences.push(...(await node().differences()))
      if (differences.length === 0) return
      throw errors.POD_NETWORK_CHANGED({ pod: podKey(pod), sandboxId: pod.sandboxId, differences })
    },
    async collectGarbage(validSandboxIds, signal) {
      await untilAborted(collectGarbage(node(), new Set(validSandboxIds)), signal)
    },
    async close() {
      repairing?.stop()
      await initialised?.close()
    },
  }
}

async function statusOf({ datapath }: PodContext, record: PodRecord): Promise<PodNetworkStatus> {
  const ips = record.addresses.map(({ address }) => address)
  return {
    kind: 'PodNetworkStatus',
    apiVersion: 'v1beta1',
    ip: ips[0] ?? '',
    ips,
    interfaces: [await datapath.describe(record)],
  }
}
