import type { Bandwidth, Policy, PortMapping } from '@podwire/api'
import type { DatapathSettings } from './datapath/datapath.ts'

/** What a machine should look like, as far as whoever used it knows. */
export interface MachineModel {
  readonly hosts: readonly HostModel[]
}

/** One state directory: the processes that share it are one host here. */
export interface HostModel extends DatapathSettings {
  readonly stateDir: string
  /** Pods that were acknowledged up; all others are gone. */
  readonly pods: readonly PodModel[]
  /** What of that which pods share was damaged, and nothing since had to put back. */
  readonly damaged?: ReadonlySet<'network' | 'firewall'>
  /** No process of the host works on anything or was killed since the last start: nothing half done may lie around. */
  readonly isTidy?: boolean
}

export interface PodModel {
  readonly namespace: string
  readonly name: string
  readonly ports: readonly PortMapping[]
  readonly bandwidth: Bandwidth
  readonly policy?: Policy | undefined
  /** Something of it was damaged, and nothing since had to put it back. */
  readonly isDamaged?: boolean
}
