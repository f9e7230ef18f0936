import type {
  AllowedFlow,
  ClosedFlow,
  DeniedFlow,
  EventDetails,
  PodNetworkStatus,
  PodRef,
} from '@podwire/api'
import { EventEmitter } from 'eventemitter3'

interface OfPlugin {
  readonly plugin: string
}

interface OfPod extends OfPlugin {
  readonly pod: PodRef
}

interface Ended {
  readonly durationMs: number
}

interface Failed {
  readonly error: unknown
}

/** Everything a host tells, by event name. Times are in milliseconds. */
export interface HostEvents {
  'plugin:ready': OfPlugin & Ended
  'plugin:failed': OfPlugin & Failed
  /** The process of an isolated plugin ended; what it was doing has failed. `crashes`: in the last five minutes. */
  'plugin:crashed': OfPlugin & Failed & { readonly crashes: number }
  /** It runs again, initialised, and knows its pod CIDR. */
  'plugin:restarted': OfPlugin & Ended
  /** It crashed too often and stays down until it is reset. */
  'plugin:quarantined': OfPlugin & Failed
  /** A plugin reported something of its own, such as a repair. */
  'plugin:report': OfPlugin & { readonly event: string; readonly details: EventDetails }
  'pod:setup:start': OfPod
  'pod:setup:done': OfPod & Ended & { readonly status: PodNetworkStatus | undefined }
  'pod:setup:failed': OfPod & Ended & Failed
  /** What was set up was no longer right, and is again. */
  'pod:repaired': OfPod & { readonly why: string }
  'pod:teardown:start': OfPod
  'pod:teardown:done': OfPod & Ended
  'pod:teardown:failed': OfPod & Ended & Failed
  /** A pod's policy denied something. Packets of one kind are told of together. */
  'flow:denied': OfPlugin & DeniedFlow
  /** Connections of a pod that began, while somebody watches: `host.watchFlows()`. */
  'flow:allowed': OfPlugin & AllowedFlow
  /** Connections of a pod that ended. */
  'flow:closed': OfPlugin & ClosedFlow
  /** There were more of these than could be told. */
  'flow:lost': OfPlugin
  /** The plugin became able or unable to set pods up. */
  'status:changed': OfPlugin & { readonly ready: boolean; readonly reason?: string }
  'pod-cidr-change': { readonly 'pod-cidr': string }
  /** This node has a pod CIDR of its cluster's network, by a lease or a list. */
  'cluster:joined': { readonly podCIDR: string }
  /** Its pod CIDR is not its own any more: no new pods, and no way to the other nodes' pods, until it joins again. */
  'cluster:fenced': { readonly reason: string }
  /** Routes to other nodes' pods that somebody took away were put back. */
  'cluster:repaired': { readonly what: readonly string[] }
  /** What is written in etcd of other nodes' pods and can't be so, or is said of two pods: each in a phrase. */
  'cluster:refused': { readonly what: readonly string[] }
  /** What an earlier process left half done was torn down. */
  'sandbox:recovered': { readonly pod: PodRef; readonly why: string }
  /** A record could not be read and was moved out of the way. */
  'state:set-aside': { readonly file: string; readonly movedTo: string; readonly reason: string }
  /** A daemon read its configuration again, and goes on by it. */
  'configuration:changed': { readonly file: string | undefined; readonly changed: readonly string[] }
  /** A daemon read its configuration again, and goes on by the old one. */
  'configuration:refused': { readonly file: string | undefined } & Failed
  /** A daemon had more to tell than its buffer holds, or was started anew: `missed` of its events are not coming, where it knows. */
  'events:dropped': { readonly missed?: number }
}

/** The names of all events. */
export const hostEventNames = [
  'plugin:ready',
  'plugin:failed',
  'plugin:crashed',
  'plugin:restarted',
  'plugin:quarantined',
  'plugin:report',
  'pod:setup:start',
  'pod:setup:done',
  'pod:setup:failed',
  'pod:repaired',
  'pod:teardown:start',
  'pod:teardown:done',
  'pod:teardown:failed',
  'flow:denied',
  'flow:allowed',
  'flow:closed',
  'flow:lost',
  'status:changed',
  'pod-cidr-change',
  'cluster:joined',
  'cluster:fenced',
  'cluster:repaired',
  'cluster:refused',
  'sandbox:recovered',
  'state:set-aside',
  'configuration:changed',
  'configuration:refused',
  'events:dropped',
] as const satisfies readonly (keyof HostEvents)[]

/** Called with what happened; may be asynchronous. */
export type HostListener<E extends keyof HostEvents> = (event: HostEvents[E]) => unknown

/** Tells listeners what happens. A listener that throws or rejects breaks neither the operation nor its neighbours. */
export interface HostEmitter {
  /** Returns the function that ends the listening. */
  on<E extends keyof HostEvents>(event: E, listener: HostListener<E>): () => void
  /** The same, for the first time only. */
  once<E extends keyof HostEvents>(event: E, listener: HostListener<E>): () => void
  emit<E extends keyof HostEvents>(event: E, payload: HostEvents[E]): void
}

/** @param onError told of what a listener threw, or rejected with */
export function createHostEmitter(onError: (event: string, error: unknown) => void): HostEmitter {
  const emitter = new EventEmitter()

  const guard =
    <E extends keyof HostEvents>(event: E, listener: HostListener<E>) =>
    async (payload: HostEvents[E]): Promise<void> => {
      try {
        await listener(payload)
      } catch (error) {
        onError(event, error)
      }
    }

  return {
    on: (event, listener) => {
      const guarded = guard(event, listener)
      emitter.on(event, guarded)
      return () => void emitter.off(event, guarded)
    },
    once: (event, listener) => {
      const guarded = guard(event, listener)
      emitter.once(event, guarded)
      return () => void emitter.off(event, guarded)
    },
    emit: (event, payload) => void emitter.emit(event, payload),
  }
}
