import type { PodInterface, PodRef } from '@podwire/api'
import type { PodAddress } from '../ipam/allocator.ts'
import type { PodNetwork } from '../ipam/network.ts'

/** How pods are connected: by a link of their own each, or as ports of one bridge. */
export const datapathNames = ['routed', 'bridge'] as const
export type DatapathName = (typeof datapathNames)[number]

/** What of a pod its connection depends on. */
export interface PodLink extends PodRef {
  readonly netns: { readonly path: string }
  /** How it was connected. */
  readonly datapath: DatapathName
  /** The interface inside the sandbox. */
  readonly interfaceName: string
  /** In bytes. */
  readonly mtu: number
  /** Asked for by the pod; else it follows from the primary address. */
  readonly mac?: string
  /** The sandbox had a way out before this interface came: only what is sent from the interface's own addresses leaves by it. */
  readonly isFurther?: true
  /** The primary one first. */
  readonly addresses: readonly PodAddress[]
}

/** What is known of a pod that is to be disconnected: no more than which one it is where its record can't be read. */
export type LeavingPod = PodRef & Partial<Pick<PodLink, 'datapath' | 'addresses'>>

/** What pods share, as it should be. */
export interface NetworkPlan {
  /** In bytes. */
  readonly mtu: number
  /** Of the pod CIDR, and of pods of earlier ones. */
  readonly networks: readonly PodNetwork[]
}

/** What {@link Datapath.compare} found. */
export interface Compared {
  /** Each in a phrase. */
  readonly differences: readonly string[]
  /** As in {@link Ensured}. */
  readonly duplicatesFrom?: string | undefined
}

/** What {@link Datapath.ensure} found and did. */
export interface Ensured {
  /** What was found missing and is there now, each in a phrase. */
  readonly repaired: readonly string[]
  /** Settings refused by the kernel, each in a phrase: pods work without them, but not beyond. */
  readonly refused: readonly string[]
  /** Addresses that others have: the host besides its gateways, and machines that are not pods. */
  readonly taken: readonly string[]
  /** The MAC address of what sends frames twice that the firewall must drop, where there is such a thing. */
  readonly duplicatesFrom?: string | undefined
}

/** A link of the host, as far as it says whose it is. */
export interface HostLink {
  readonly name: string
  readonly alias?: string
}

/** One way of connecting pods with the host and each other. */
export interface Datapath {
  /** Looks, and touches nothing. @throws PodwireError about what is in the way of this data path */
  inspect(): Promise<void>
  /** In what that which pods share is not as planned. Looks, and touches nothing. */
  compare(plan: NetworkPlan): Promise<Compared>
  /** Makes what pods share, or what is missing of it. */
  ensure(plan: NetworkPlan): Promise<Ensured>
  /** Whether what {@link ensure} made is still there, as far as that is seen in some ten microseconds. */
  isIntact(): Promise<boolean>
  /** Whether there is something that {@link ensure} made, in this process or an earlier one. */
  isThere(): boolean
  /** Takes away what {@link ensure} made. No pod may be left. */
  remove(): Promise<void>
  /** Lets the host's 127.0.0.1 lead to pods, which needs a firewall that guards it, or no longer. What could not be set. */
  routeLoopback(isGuarded: boolean): Promise<readonly string[]>
  /** Puts right the host's ends of these pods' links; those that are gone are `missing`. */
  restore(pods: readonly PodLink[]): Promise<Restored>
  /** Whether a link of the host belongs to this data path; or, given who gave it one, an address there. */
  isOwn(link: HostLink, addressProtocol?: number): boolean

  /** Gives the sandbox its interface, addresses and the way out. Returns the index of the host's end. */
  connect(pod: PodLink, sandbox: number): Promise<number>
  /** In what the pod's connection is not as {@link connect} made it, each in a phrase. */
  differences(pod: PodLink): Promise<string[]>
  /** Puts right what differs: as little as possible. Returns the index of the host's end. */
  mend(pod: PodLink, sandbox: number): Promise<number>
  /** What there is to tell of the pod's interface, as {@link connect} made it. */
  describe(pod: PodLink): Promise<PodInterface>
  /** Takes the connection away; what isn't there is no error. */
  disconnect(pod: LeavingPod): Promise<void>
}

/** What was wrong and is right now, and what is missing, each in a phrase. */
interface Restored {
  readonly repaired: string[]
  readonly missing: string[]
}
