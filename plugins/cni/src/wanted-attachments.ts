import { isDeepStrictEqual } from 'node:util'
import { DEFAULT_INTERFACE_NAME, type Pod, type PodRef, podRef } from '@podwire/api'
import {
  type Attachment,
  type CachedAttachment,
  type JsonObject,
  type NetworkConfigList,
  parseNetworkConfigList,
  readKey,
} from '@podwire/libcni'
import { declaredCapabilities } from './announced-capabilities.ts'
import type { CapabilityArgs } from './capability-args.ts'
import type { ConfiguredNetworks } from './configured-networks.ts'
import { errors } from './errors.ts'
import { kubernetesArgs } from './kubernetes-args.ts'
import { loopback } from './loopback.ts'
import type { NetworkSelection } from './networks-annotation.ts'

/** An attachment as a pod should have it. */
export interface WantedAttachment {
  readonly network: NetworkConfigList
  readonly attachment: Attachment
}

/** What a pod's attachments are made of. */
export interface WantedOf {
  readonly pod: Pod
  /** For the first network. */
  readonly args: CapabilityArgs
  readonly selections: readonly NetworkSelection[]
  readonly networks: ConfiguredNetworks
  readonly confDir: string
  /** The name of the first network, where the options give it. */
  readonly network: string | undefined
  /** What the pod has by now. */
  readonly existing: readonly CachedAttachment[]
}

/**
 * Every attachment that the pod should have, in the order they are made: loopback, the first network, those that it
 * selects. A pod keeps the network that it was set up with, whatever the directory says now.
 */
export function wantedAttachments(wanted: WantedOf): WantedAttachment[] {
  const { pod, args, selections, networks } = wanted
  // What a killed set-up left says nothing of what the pod has.
  const settled = wanted.existing.filter(({ result }) => result !== undefined)
  const make = (network: NetworkConfigList, ifName: string, given: CapabilityArgs) => {
    const before = settled.find((one) => one.network === network.name && one.ifName === ifName)
    const capabilityArgs = carryOver(before, declared(network, given))
    return {
      network,
      attachment: {
        containerId: pod.sandboxId,
        ifName,
        netns: pod.netns,
        args: kubernetesArgs(pod),
        ...(Object.keys(capabilityArgs).length > 0 ? { capabilityArgs } : {}),
      },
    }
  }

  const kept = (ifName: string) => settled.find((one) => one.ifName === ifName)?.config
  const first = kept(DEFAULT_INTERFACE_NAME) ?? networks.first()
  if (!first) {
    const { confDir, network } = wanted
    throw errors.CNI_UNINITIALIZED({ confDir, network, problems: networks.problems() })
  }
  const further = selections.map(({ name, ifName, capabilityArgs, cniArgs }) => {
    const configured = kept(ifName)?.name === name ? kept(ifName) : networks.named(name)
    if (!configured) {
      throw errors.CNI_UNKNOWN_NETWORK({
        pod: podRef(pod),
        network: name,
        confDir: wanted.confDir,
        known: networks.names(),
      })
    }
    rejectUndeclared(pod, configured, capabilityArgs)
    return make(withCniArgs(configured, cniArgs), ifName, capabilityArgs)
  })
  return [make(loopback, 'lo', {}), make(first, DEFAULT_INTERFACE_NAME, args), ...further]
}

/** Whether what a pod has is what it should have. */
export function isAsWanted(cached: CachedAttachment, { network, attachment }: WantedAttachment): boolean {
  return (
    cached.result !== undefined &&
    cached.netns === attachment.netns &&
    isDeepStrictEqual(cached.capabilityArgs ?? {}, attachment.capabilityArgs ?? {}) &&
    (cached.config === undefined || isDeepStrictEqual(cached.config.raw, network.raw))
  )
}

/** The same network, its plugins handed `args.cni`. */
function withCniArgs(network: NetworkConfigList, cniArgs: NetworkSelection['cniArgs']): NetworkConfigList {
  if (!cniArgs) return network
  const plugins = network.plugins.map(({ raw }) => ({
    ...raw,
    // Behind whatever spelling of the key is there: of two, plugins in Go take the last.
    args: { ...asObject(readKey(raw, 'args')), cni: cniArgs },
  }))
  return parseNetworkConfigList(JSON.stringify({ ...network.raw, plugins }), network.name)
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {}
}

// What no plugin will ever see would silently have no effect.
function rejectUndeclared(pod: PodRef, network: NetworkConfigList, args: CapabilityArgs): void {
  const known = declaredCapabilities(network)
  const capabilities = Object.keys(args).filter((capability) => !known.has(capability))
  if (capabilities.length > 0)
    throw errors.CNI_UNDECLARED_CAPABILITY({ pod: podRef(pod), network: network.name, capabilities })
}

// What no plugin sees is left out, so that a change of it changes no attachment.
function declared(network: NetworkConfigList, args: CapabilityArgs): JsonObject {
  const known = declaredCapabilities(network)
  // Arguments are JSON: annotations, port mappings and options came from there.
  return Object.fromEntries(
    Object.entries(args).filter(([capability]) => known.has(capability)),
  ) as JsonObject
}

/** What belongs to the host: a change of it is for new pods. */
const ofTheHost = ['ipRanges', 'dns']

function carryOver(before: CachedAttachment | undefined, args: JsonObject): JsonObject {
  if (!before) return args
  const ofThePod = Object.entries(args).filter(([capability]) => !ofTheHost.includes(capability))
  const carried = Object.entries(before.capabilityArgs ?? {}).filter(
    // `ips`: the addresses that the pod kept when it was attached anew.
    ([capability]) => ofTheHost.includes(capability) || (capability === 'ips' && args['ips'] === undefined),
  )
  return Object.fromEntries([...ofThePod, ...carried])
}
