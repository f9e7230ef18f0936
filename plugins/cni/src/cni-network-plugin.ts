import { resolve } from 'node:path'
import {
  capabilitySet,
  DEFAULT_INTERFACE_NAME,
  getPodIPs,
  type Host,
  isPodwireError,
  type Logger,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE,
  NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR,
  type NetworkPlugin,
} from '@podwire/api'
import { type CNI, type CniOptions as CniLibraryOptions, createCni } from '@podwire/libcni'
import { announcedCapabilities } from './announced-capabilities.ts'
import { type Attachments, createAttachments } from './attachments.ts'
import { capabilityArgs } from './capability-args.ts'
import { checkPod } from './check-pod.ts'
import { collectGarbage } from './collect-garbage.ts'
import { type ConfiguredNetworks, configuredNetworks } from './configured-networks.ts'
import { converge } from './converge.ts'
import { errors } from './errors.ts'
import { NETWORKS_ANNOTATION, parseNetworksAnnotation } from './networks-annotation.ts'
import type { CniOptions } from './options.ts'
import { type AttachmentResult, podStatus } from './pod-status.ts'
import { tearDown } from './tear-down.ts'
import { wantedAttachments } from './wanted-attachments.ts'

const everyCapability = capabilitySet('shaping', 'portMappings', 'dualStack', 'check', 'gc', 'multiNetwork')

/** What the plugin is made of. */
export interface CniPluginSpec {
  readonly options: CniOptions
  /** Relative paths in the options begin here. */
  readonly configDir: string | undefined
  readonly stateDir: string
  readonly log: Logger
  /** Default: libcni's. */
  readonly createCni?: (options: CniLibraryOptions) => CNI
}

/** What exists from `init` on. */
interface Started {
  readonly host: Host
  readonly networks: ConfiguredNetworks
  readonly attachments: Attachments
}

/** The network plugin `cni`: every pod gets the networks of a CNI configuration directory. Source: the kubelet's package `network/cni`. */
export function cniNetworkPlugin(spec: CniPluginSpec): NetworkPlugin {
  const { options, configDir = '/', stateDir, log } = spec
  const confDir = resolve(configDir, options.confDir)
  let running: Started | undefined
  let podCIDR = ''

  const started = (): Started => {
    if (!running) throw errors.CNI_NOT_INITIALISED()
    return running
  }

  return {
    name: 'cni',

    init: async (host) => {
      const networks = await configuredNetworks({
        confDir,
        network: options.network,
        log,
        onSwitch: (change) => host.report('network-switched', change),
      })
      const attachments = createAttachments({
        binDirs: options.binDirs.map((directory) => resolve(configDir, directory)),
        vendorPrefix: resolve(configDir, options.vendorPrefix),
        cacheDirectory: options.cacheDir ? resolve(configDir, options.cacheDir) : stateDir,
        confDir,
        configured: networks.named,
        log,
        createCni: spec.createCni ?? createCni,
      })
      running = { host, networks, attachments }
    },

    event: (name, details) => {
      const cidr = details[NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR]
      if (name === NET_PLUGIN_EVENT_POD_CIDR_CHANGE && typeof cidr === 'string') podCIDR = cidr
    },

    // Before it knows the network, it says what it can have.
    capabilities: () => (running ? announcedCapabilities(running.networks.first()) : everyCapability),

    setUpPod: async (pod, signal) => {
      const { networks, attachments } = started()
      const existing = (await attachments.remembered(pod.sandboxId)).attachments
      const wanted = wantedAttachments({
        pod,
        args: capabilityArgs({ pod, podCIDR, dns: options.dns }),
        selections: parseNetworksAnnotation(pod.annotations[NETWORKS_ANNOTATION]),
        networks,
        confDir,
        network: options.network,
        existing,
      })
      const attached = await converge(attachments, existing, wanted, { log, signal })
      const results = attached.map(({ network, attachment, result }) => ({
        network: network.name,
        ifName: attachment.ifName,
        result,
      }))
      return podStatus(results)
    },

    tearDownPod: async (pod, signal) => {
      const { host, attachments } = started()
      const netns = await host.getNetNS(pod.sandboxId).catch(() => undefined)
      await tearDown(attachments, pod, netns, signal)
    },

    getPodNetworkStatus: async (pod, signal) => {
      const { host, attachments } = started()
      const remembered = (await attachments.remembered(pod.sandboxId)).attachments
      const results = remembered.flatMap(({ network, ifName, result }) =>
        result ? [{ network, ifName, result }] : [],
      )
      if (!results.some(({ ifName }) => ifName === DEFAULT_INTERFACE_NAME)) return undefined
      return statusFromKernel(await host.getNetNS(pod.sandboxId), results, signal)
    },

    status: async () => {
      const { networks, attachments } = started()
      const first = networks.first()
      if (!first)
        throw errors.CNI_UNINITIALIZED({ confDir, network: options.network, problems: networks.problems() })
      await attachments.ready(first)
    },

    checkPod: async (pod, signal) => checkPod(started().attachments, pod, signal),

    collectGarbage: async (validSandboxIds, signal) => {
      const { host, networks, attachments } = started()
      await collectGarbage(attachments, networks, validSandboxIds, { host, log, signal })
    },

    close: async () => running?.networks.close(),
  }
}

// The addresses as they are now, not as a plugin said once. A network without any is a network too.
async function statusFromKernel(netns: string, results: readonly AttachmentResult[], signal: AbortSignal) {
  const ips = await getPodIPs(netns, DEFAULT_INTERFACE_NAME, { signal }).catch((error: unknown) => {
    if (isPodwireError(error) && error.code === 'POD_IP_NOT_FOUND' && !signal.aborted) return undefined
    throw error
  })
  return ips && podStatus(results, ips)
}
