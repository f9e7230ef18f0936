import type { PodName, PodRequest } from '@podwire/core'
import type { DatapathName } from '../checker/observed.ts'

/** How a host process opens its host. */
export interface HostSettings {
  readonly stateDir: string
  readonly datapath: DatapathName
  readonly bridge: string
  readonly podCIDR: string
  /** The package directory of kubenet. */
  readonly kubenet: string
}

/** What a host process can do. */
export type Operation =
  | { readonly method: 'open'; readonly argument: HostSettings }
  | { readonly method: 'setUp'; readonly argument: PodRequest }
  | { readonly method: 'tearDown' | 'check'; readonly argument: PodName }
  | { readonly method: 'repair' | 'prune' | 'collectGarbage' | 'close'; readonly argument?: undefined }

export type Call = Operation & { readonly id: number }

/** Of id 0: it is there. Of -1: it has something to say. */
export interface Answer {
  readonly id: number
  readonly error?: { readonly message: string; readonly code: string }
  readonly note?: string
}
