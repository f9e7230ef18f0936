import { isDeepStrictEqual } from 'node:util'
import type { Bandwidth, Pod, PodRef, Policy, PortMapping } from '@podwire/api'
import { errnoOf } from '@podwire/api'
import { netnsId } from '@podwire/netlink'
import type { DatapathName } from './datapath/datapath.ts'
import { isSamePort, type PortElement, type Published, portElements } from './firewall/port-elements.ts'
import type { PodAddress } from './ipam/allocator.ts'

/** What of a pod may change while it runs. */
export interface PodSettings {
  readonly ports: readonly PortMapping[]
  readonly bandwidth: Bandwidth
  /** By which the policies of other pods select it. */
  readonly annotations: Readonly<Record<string, string>>
  readonly policy?: Policy
}

/** All that is needed to check a pod's network, to make it anew and to take it away. */
export interface PodRecord extends PodRef, PodSettings {
  /** How it was connected. */
  readonly datapath: DatapathName
  readonly netns: { readonly path: string; readonly dev: number; readonly ino: number }
  /** The interface inside the sandbox. */
  readonly interfaceName: string
  /** In bytes. */
  readonly mtu: number
  readonly mac?: string
  readonly isFurther?: true
  /** The primary one first. */
  readonly addresses: readonly PodAddress[]
  /** The nflog group that what its policy denies is told to. */
  readonly logGroup?: number
  /** A change that has begun: the kernel may hold some of these settings, some of the ones above, or both. */
  readonly changing?: PodSettings
  /** Ports that the kernel may publish still, and that nobody puts back. */
  readonly withdrawing?: readonly PortMapping[]
  /** Its tear-down has begun: nothing of it is to be put back. The name of its file says so. */
  readonly leaving?: true
}

/**
 * What the kernel should publish of pods, should it have lost it all: what is settled before what is only under way. A pod
 * whose change is under way keeps the ports that it has until that is settled; one that leads elsewhere then does so at once.
 */
export function publishedPorts(pods: readonly PodRecord[]): PortElement[] {
  const staying = pods.filter(({ leaving }) => !leaving)
  const pendingOf = ({ addresses, changing }: PodRecord) =>
    changing ? portElements({ addresses, ports: changing.ports }) : []
  const settled = staying.flatMap((pod) => {
    const pending = pendingOf(pod)
    return portElements(pod).filter((element) => !pending.some((other) => isSamePort(element, other)))
  })
  return [...settled, ...staying.flatMap(pendingOf)]
}

/** What of a pod may change while it runs, as it is wanted. */
export const settingsOf = ({ portMappings, bandwidth = {}, annotations, policy }: Pod): PodSettings => ({
  ports: portMappings,
  bandwidth,
  annotations,
  ...(policy ? { policy } : {}),
})

/** Whether two records of a sandbox are of one pod, whatever was changed of it, and not of one that was set up there later. */
export const isSamePod = (one: PodRecord, other: PodRecord) =>
  isDeepStrictEqual([one.netns, one.addresses], [other.netns, other.addresses])

/** Whether the pod's namespace is still the one that it was set up in. */
export function isNetnsOf({ netns }: Pick<PodRecord, 'netns'>): boolean {
  try {
    const { dev, ino } = netnsId(netns.path)
    return dev === netns.dev && ino === netns.ino
  } catch (error) {
    // Whatever else fails says nothing about the namespace.
    if (['ENOENT', 'ENOTDIR', 'ERR_NOT_NETNS'].includes(errnoOf(error) ?? '')) return false
    throw error
  }
}

/** The ports that a pod has, and those that it is about to have while a change is not settled. */
export function wantedFor({ addresses, ports, changing }: PodRecord): Published {
  return { addresses, ports: [...ports, ...(changing?.ports ?? [])] }
}

/** The ports that the kernel may publish for the pod. */
export function publishedFor(record: PodRecord): Published {
  const { addresses, ports } = wantedFor(record)
  return { addresses, ports: [...ports, ...(record.withdrawing ?? [])] }
}

/** The record as it is once its change is settled: what it had before is to be withdrawn where it isn't wanted. */
export function settledBy(record: PodRecord): PodRecord {
  const { changing, ...before } = record
  if (!changing) return record
  const { policy: _, withdrawing = [], ...kept } = before
  const former = [...before.ports, ...withdrawing]
  return { ...kept, ...changing, ...(former.length > 0 ? { withdrawing: former } : {}) }
}
