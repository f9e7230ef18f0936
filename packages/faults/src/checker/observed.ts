import type { Bandwidth, Policy, PortMapping } from '@podwire/api'
import type { SandboxRecord } from '@podwire/core'
import type { Address, Connection, Link, Neighbour, NetnsId, Route, TrafficControl } from '@podwire/netlink'

/** What is on a machine: its network namespace, its /run/netns, its processes, and the state directories asked for. */
export interface Observed {
  readonly links: readonly Link[]
  readonly addresses: readonly Address[]
  readonly routes: readonly Route[]
  readonly neighbours: readonly Neighbour[]
  readonly qdiscs: readonly TrafficControl[]
  /** Index of a link → index of the ifb that what arrives on it is led through. */
  readonly redirects: ReadonlyMap<number, number>
  /** The names of tables that hosts made. */
  readonly tables: readonly string[]
  readonly connections: readonly Connection[]
  readonly namespaces: readonly ObservedNamespace[]
  readonly states: readonly ObservedState[]
}

/** The inet table of a host. */
export interface ObservedFirewall {
  readonly rules: number
  /** Maps of ports that somebody emptied. */
  readonly flushed: readonly string[]
  readonly ports: readonly PublishedPort[]
}

export interface PublishedPort extends PortMapping {
  /** Where it leads. */
  readonly address: string
}

/** A file in /run/netns. */
export interface ObservedNamespace {
  readonly path: string
  /** Absent where the file is no namespace. */
  readonly id?: NetnsId
  readonly links: readonly Link[]
  readonly addresses: readonly Address[]
  readonly routes: readonly Route[]
  readonly neighbours: readonly Neighbour[]
  readonly processes: readonly number[]
}

/** A state directory: the core's part, and kubenet's. */
export interface ObservedState {
  readonly dir: string
  readonly sandboxes: readonly SandboxRecord[]
  /** Files in the places of records that hold none, temporary ones too. */
  readonly strays: readonly string[]
  readonly locks: readonly { readonly file: string; readonly isHeld: boolean }[]
  /** What kubenet's links carry in their alias; absent before the first pod. */
  readonly id?: string
  readonly records: readonly KubenetRecord[]
  /** Undefined where there is no table. */
  readonly firewall: ObservedFirewall | undefined
  readonly claims: readonly { readonly address: string; readonly owner: string }[]
}

/** How pods are connected: kubenet's two ways. */
export type DatapathName = 'routed' | 'bridge'

/** kubenet's record of a pod, as far as it is looked at. */
export interface KubenetRecord {
  readonly namespace: string
  readonly name: string
  readonly sandboxId: string
  readonly netns: NetnsId & { readonly path: string }
  readonly datapath: DatapathName
  readonly addresses: readonly {
    readonly address: string
    readonly prefixLength: number
    readonly gateway: string
  }[]
  readonly ports: readonly PortMapping[]
  readonly bandwidth: Bandwidth
  readonly policy?: Policy
  readonly changing?: Pick<KubenetRecord, 'ports' | 'bandwidth' | 'policy'>
  /** What its file is called says that it is being torn down. */
  readonly isLeaving: boolean
}
