import type { Policy } from '@podwire/api'
import type { Deadlines } from '../config/parse.ts'
import type { HostEmitter } from '../events.ts'
import type { PluginManager } from '../plugins/plugin-manager.ts'
import type { PluginStart } from '../plugins/start-plugin.ts'
import type { PodLock } from './lock.ts'
import { isNamespaceAt } from './netns.ts'
import { type PodName, parsePodName } from './pod-request.ts'
import type { SandboxRecord } from './record.ts'
import type { SandboxStore } from './store.ts'

/** What the operations on sandboxes work with. */
export interface SandboxContext {
  readonly store: SandboxStore
  readonly lock: PodLock
  readonly events: HostEmitter
  readonly deadlines: Deadlines
  /** Of pods, as far as they have none of their own. */
  readonly policy: Policy | undefined
  /** The plugin that sets pods up, and how it was started; started when first asked for. */
  active(): Promise<{ readonly manager: PluginManager; readonly start: PluginStart }>
  /** The plugin that set this pod up, though the configuration names another by now. */
  managerOf(record: SandboxRecord): Promise<PluginManager>
  /** @throws PodwireError `MISSING_CAPABILITY` unless the configuration only warns */
  checkCapabilities(pod: SandboxRecord['pod'], manager: PluginManager): void
  /** @throws PodwireError `POLICY_NEEDS_HOST` where names are allowed and nobody would resolve them */
  checkNames(pod: SandboxRecord['pod']): void
  /** The end of the garbage collection that runs now; undefined when none does. */
  collecting(): Promise<void> | undefined
  /** Says that the state directory is this network namespace's. @throws PodwireError `STATE_ELSEWHERE` */
  claimState(): void
  warn(message: string, details?: Readonly<Record<string, unknown>>): void
}

/** How an operation is called. */
export interface OperationOptions {
  readonly signal?: AbortSignal | undefined
}

/** The record of a pod: by the sandbox id given, else by its names. */
export function findRecord(store: SandboxStore, pod: PodName): SandboxRecord | undefined {
  parsePodName(pod)
  if (pod.sandboxId === undefined) return store.find(pod)
  const found = store.get(pod.sandboxId)
  return found?.pod.namespace === pod.namespace && found.pod.name === pod.name ? found : undefined
}

/** Whether the record's network namespace is still the one that was set up. */
export function isNamespaceAlive({ pod, netnsIdentity }: SandboxRecord): boolean {
  return isNamespaceAt(pod.netns, netnsIdentity)
}
