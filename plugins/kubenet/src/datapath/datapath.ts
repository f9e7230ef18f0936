import type { PodRef } from '@podwire/api'
import type { PodAddress } from '../ipam/allocator.ts'
import type { PodNetwork } from '../ipam/network.ts'

/** What of a pod its connection depends on. */
export interface PodLink extends PodRef {
  readonly netns: { readonly path: string }
  /** The interface inside the sandbox. */
  readonly interfaceName: string
  /** In bytes. */
  readonly mtu: number
  /** The primary one first. */
  readonly addresses: readonly PodAddress[]
}

/** What pods share, as it should be. */
export interface NetworkPlan {
  /** In bytes. */
  readonly mtu: number
  /** Of the pod CIDR, and of pods of earlier ones. */
  readonly networks: readonly PodNetwork[]
}

/** What was found missing and is there now, and what could not be set, each in a phrase. */
export interface Ensured {
  readonly repaired: readonly string[]
  /** Settings refused by the kernel: pods work without them, but not beyond. */
  readonly refused: readonly string[]
}

/** One way of connecting pods with the host and each other. */
export interface Datapath {
  /** Looks, and touches nothing. @throws PodwireError about what is in the way of this data path */
  inspect(): Promise<void>
  /** Makes what pods share, or what is missing of it. */
  ensure(plan: NetworkPlan): Promise<Ensured>
  /** Whether what {@link ensure} made is still there, as far as that is seen in some ten microseconds. */
  isIntact(): Promise<boolean>
  /** Whether there is something that {@link ensure} made, in this process or an earlier one. */
  isThere(): Promise<boolean>
  /** Addresses on the pods' network that others have: the host besides its gateways, and machines that are not pods. */
  addressesOfOthers(): Promise<string[]>
  /** Lets the host's 127.0.0.1 lead to pods, which needs a firewall that guards it, or no longer. What could not be set. */
  routeLoopback(isGuarded: boolean): readonly string[]
  /** Puts right the host's ends of these pods' links; those that are gone are `missing`. */
  restore(pods: readonly PodLink[]): Promise<{ repaired: string[]; missing: string[] }>
  /** Whether a link of the host belongs to this data path. */
  isOwn(link: { readonly name: string; readonly alias?: string }): boolean
  /** The MAC address of what sends frames twice that the firewall must drop, where there is such a thing. */
  readonly duplicatesFrom: string | undefined

  /** Gives the sandbox its interface, addresses and the way out. Returns the index of the host's end. */
  connect(pod: PodLink, sandbox: number): Promise<number>
  /** In what the pod's connection is not as {@link connect} made it, each in a phrase. */
  differences(pod: PodLink): Promise<string[]>
  /** Puts right what differs: as little as possible. Returns the index of the host's end. */
  mend(pod: PodLink, sandbox: number): Promise<number>
  /** Takes the connection away; what isn't there is no error. */
  disconnect(pod: PodRef): Promise<void>
}
