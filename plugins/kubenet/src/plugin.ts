import { closeSync } from 'node:fs'
import {
  bandwidthOf,
  Capability,
  capabilitySet,
  DEFAULT_INTERFACE_NAME,
  type Host,
  type InitOptions,
  isPodwireError,
  type Logger,
  messageOf,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
  type NetworkPlugin,
  type Pod,
  type PodNetworkStatus,
  type PodRef,
} from '@podwire/api'
import { links, netnsId, openNetns } from '@podwire/netlink'
import { linkPlanOf, podDifferences } from './check.ts'
import { macFor } from './datapath/bridge.ts'
import { unless } from './datapath/courier.ts'
import { connectPod, linkDifferences } from './datapath/pod-link.ts'
import { podCidrUnknown, podDiffers, stepFailed } from './errors.ts'
import { collectGarbage } from './garbage.ts'
import { portElements } from './host-ports/port-elements.ts'
import { type Node, openNode } from './node.ts'
import type { KubenetOptions } from './options.ts'
import type { PodAddress, PodRecord } from './records.ts'
import { isNetnsOf } from './records.ts'
import { repair, startRepairing } from './repair.ts'
import { shape, shapingDifferences } from './shaping/shaping.ts'
import { tearDown, untilAborted } from './tear-down.ts'

/** Asks for addresses: `10.88.0.7`, or one of each family separated by a comma. */
export const IP_ANNOTATION = 'podwire.dev/ip'

export interface KubenetContext {
  readonly options: KubenetOptions
  readonly stateDir: string
  readonly log: Logger
}

type Wanted = Pick<PodRecord, 'netns' | 'ports' | 'bandwidth'> & {
  readonly ip: string | undefined
  /** Descriptor of the sandbox's network namespace, open for as long as the set-up lasts. */
  readonly sandbox: number
}

/** The network plugin `kubenet`. */
export function createKubenet(context: KubenetContext): NetworkPlugin {
  let host: Host
  let node: Node | undefined
  let repairing: { stop(): void } | undefined

  /** Everything that setUpPod needs, or why it isn't there. */
  function readyNode() {
    if (!node?.allocator) throw node?.problem ?? podCidrUnknown()
    return { node, allocator: node.allocator }
  }

  async function wantedOf(pod: PodRef, path: string, sandbox: number): Promise<Wanted> {
    const ports = await host.getPodPortMappings(pod.sandboxId)
    const known: Pod | undefined = host.supportsLegacyFeatures()
      ? await host.getPodByName(pod.namespace, pod.name)
      : undefined
    const annotations = known?.annotations ?? {}
    return {
      sandbox,
      netns: { path, ...netnsId(sandbox) },
      ports,
      bandwidth: bandwidthOf(annotations),
      ip: annotations[IP_ANNOTATION],
    }
  }

  async function setUpPod(pod: PodRef, signal: AbortSignal): Promise<PodNetworkStatus> {
    readyNode()
    const path = await host.getNetNS(pod.sandboxId)
    const sandbox = openNetns(path)
    try {
      return statusOf(await setUpOrConverge(pod, await wantedOf(pod, path, sandbox), signal))
    } finally {
      closeSync(sandbox)
    }
  }

  async function setUpOrConverge(pod: PodRef, wanted: Wanted, signal: AbortSignal): Promise<PodRecord> {
    const { node } = readyNode()
    signal.throwIfAborted()
    const bridge = await node.courier
      .run(node.netlink, links.brief(context.options.bridge))
      .catch(unless('ENODEV'))
    const hasRules = node.firewall.ensure()
    // Another process may have made it anew.
    const isOurs = bridge?.up === true && bridge.index === node.bridgeIndex
    if (!isOurs || !hasRules) await repair(node, host, hasRules ? [] : ['firewall rules'])
    const record = node.records.read(pod.sandboxId)
    if (record && isNetnsOf(record)) return converge(node, record, wanted, signal)
    // The sandbox's ID was used before, by a namespace that is gone.
    if (record) await untilAborted(tearDown(node, pod), signal)
    return setUp(pod, wanted, signal)
  }

  /** Address, bridge, shaping, host ports. What fails takes back what was done before. */
  async function setUp(pod: PodRef, wanted: Wanted, signal: AbortSignal): Promise<PodRecord> {
    const { node } = readyNode()
    const { netlink, courier } = node
    const step = stepsOf(pod, signal)
    try {
      const record = await step('address', () => allocate(pod, wanted, signal))
      const plan = linkPlanOf(node, record)
      const index = await step('bridge', () => connectPod(netlink, wanted.sandbox, plan, courier))
      const link = { names: plan.names, index, mtu: record.mtu }
      await step('shaping', () => shape(netlink, courier, link, {}, record.bandwidth))
      await step('host ports', () => node.hostPorts.change({ ...record, ports: [] }, record))
      signal.throwIfAborted()
      return record
    } catch (error) {
      await undo(node, pod)
      throw error
    }
  }

  /** Brings a pod that has its network to what is wanted of it now; its addresses stay. */
  async function converge(node: Node, record: PodRecord, wanted: Wanted, signal: AbortSignal) {
    const { netlink, courier, firewall } = node
    const step = stepsOf(record, signal)
    const plan = linkPlanOf(node, record)
    const { names } = plan
    const { leaving, ...kept } = record
    const next: PodRecord = { ...kept, ports: wanted.ports, bandwidth: wanted.bandwidth }
    const differences = await linkDifferences(netlink, plan, courier)
    if (differences.length > 0) {
      await step('bridge', () => node.reaper.remove([names.host, names.egress]))
      await step('bridge', () => connectPod(netlink, wanted.sandbox, plan, courier))
      host.report('repair', { sandboxId: record.sandboxId, repaired: differences })
    }
    const link = { names, index: (await courier.findLink(netlink, names.host))?.index ?? 0, mtu: record.mtu }
    const isShaped = (await shapingDifferences(netlink, courier, link, record.bandwidth)).length === 0
    const now = isShaped ? record.bandwidth : {}
    await step('shaping', () => shape(netlink, courier, link, now, wanted.bandwidth))
    const isPublished = firewall.problem !== undefined || firewall.holds(portElements(record))
    const published = isPublished ? record : { ...record, ports: [] }
    await step('host ports', () => node.hostPorts.change(published, next))
    node.records.write(next)
    return next
  }

  /** Claims the addresses, the record written before so that none is ever claimed without. */
  async function allocate(pod: PodRef, wanted: Wanted, signal: AbortSignal): Promise<PodRecord> {
    const { node, allocator } = readyNode()
    const recordWith = (addresses: readonly PodAddress[]): PodRecord => ({
      namespace: pod.namespace,
      name: pod.name,
      sandboxId: pod.sandboxId,
      netns: wanted.netns,
      interfaceName: DEFAULT_INTERFACE_NAME,
      mtu: node.mtu,
      addresses,
      ports: wanted.ports,
      bandwidth: wanted.bandwidth,
    })
    const claim = () =>
      recordWith(allocator.allocate(pod, wanted.ip, (addresses) => node.records.write(recordWith(addresses))))
    try {
      return claim()
    } catch (error) {
      if (!isPodwireError(error) || error.code !== 'ADDRESSES_EXHAUSTED') throw error
      const gone = node.records.list().filter((record) => !isNetnsOf(record))
      if (gone.length === 0) throw error
      await untilAborted(Promise.all(gone.map((record) => tearDown(node, record))), signal)
      return claim()
    }
  }

  async function undo(node: Node, pod: PodRef) {
    try {
      await tearDown(node, pod)
    } catch (error) {
      // The first error is the one to tell; the record stays, and what is left is collected by it.
      context.log.error(`kubenet could not take back a set-up that failed: ${messageOf(error)}`, { ...pod })
    }
  }

  return {
    name: 'kubenet',
    async init(itsHost: Host, options: InitOptions) {
      host = itsHost
      node = openNode(context, options)
    },
    async event(name, details) {
      if (name === 'repair' && node) await repair(node, host)
      if (name !== NET_PLUGIN_EVENT_POD_CIDR_CHANGE || !node) return
      await node.setPodCidr(String(details[NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]))
      for (const refusal of node.refused) context.log.warn(`kubenet: ${refusal}`)
      if (node.firewall.problem)
        context.log.warn(`kubenet masquerades nothing and publishes no host ports: ${node.firewall.problem}`)
      repairing ??= startRepairing(node, host, context)
    },
    capabilities() {
      const always = capabilitySet('shaping', 'dualStack', 'check', 'gc')
      return node?.firewall.problem === undefined ? always | Capability.portMappings : always
    },
    setUpPod,
    async tearDownPod(pod, signal) {
      signal.throwIfAborted()
      if (node) await untilAborted(tearDown(node, pod), signal)
    },
    async getPodNetworkStatus(pod) {
      const record = node?.records.read(pod.sandboxId)
      return record && statusOf(record)
    },
    async status() {
      readyNode()
    },
    async checkPod(pod) {
      const differences = await podDifferences(readyNode().node, pod)
      if (differences.length > 0) throw podDiffers(pod, differences)
    },
    async collectGarbage(validSandboxIds, signal) {
      signal.throwIfAborted()
      if (node) await untilAborted(collectGarbage(node, host, new Set(validSandboxIds)), signal)
    },
    async close() {
      repairing?.stop()
      node?.close()
    },
  }
}

function stepsOf(pod: PodRef, signal: AbortSignal) {
  return async <T>(name: string, act: () => T | Promise<T>): Promise<T> => {
    signal.throwIfAborted()
    try {
      return await act()
    } catch (error) {
      throw isPodwireError(error) || signal.aborted ? error : stepFailed(pod, name, error)
    }
  }
}

function statusOf({ addresses, interfaceName }: PodRecord): PodNetworkStatus {
  const ips = addresses.map(({ address }) => address)
  const ip = ips[0] ?? ''
  return {
    kind: 'PodNetworkStatus',
    apiVersion: 'v1beta1',
    ip,
    ips,
    interfaces: [{ name: interfaceName, ips, mac: macFor(ip) }],
  }
}
