import type { HostEmitter } from '../events.ts'
import type { PluginManager } from '../routing/plugin-manager.ts'
import type { PodLock } from '../routing/pod-lock.ts'
import type { SandboxRecord } from '../state/sandbox-record.ts'
import type { SandboxStore } from '../state/sandbox-store.ts'
import { isNamespaceAt } from './namespaces.ts'
import type { PodName } from './pod-request.ts'
import { parsePodName } from './pod-request.ts'

/** What the operations on sandboxes work with. */
export interface Sandboxes {
  readonly store: SandboxStore
  readonly lock: PodLock
  readonly events: HostEmitter
  /** The plugin that sets pods up. */
  readonly active: PluginManager
  /** The plugin of this name, loaded when it isn't the active one: a pod goes down by the plugin that set it up. */
  managerOf(plugin: string): Promise<PluginManager>
  /** @throws PodwireError `MISSING_CAPABILITY` unless the configuration only warns */
  checkCapabilities(pod: SandboxRecord['pod']): void
  /** The end of the garbage collection that runs now; undefined when none does. */
  collecting(): Promise<void> | undefined
  warn(message: string, details?: Readonly<Record<string, unknown>>): void
}

/** The record of a pod: by the sandbox id given, else by its names. */
export function findRecord(store: SandboxStore, pod: PodName): SandboxRecord | undefined {
  parsePodName(pod)
  return pod.sandboxId === undefined ? store.find(pod) : store.get(pod.sandboxId)
}

/** Whether the record's namespace is still the one that was set up. */
export function isNamespaceAlive({ netns, netnsIdentity }: SandboxRecord): boolean {
  return isNamespaceAt(netns, netnsIdentity)
}
