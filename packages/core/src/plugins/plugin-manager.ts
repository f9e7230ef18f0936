import {
  Capability,
  type EventDetails,
  hasCapabilities,
  messageOf,
  type NetworkPlugin,
  type Pod,
  type PodNetworkStatus,
  type PodRef,
  podRef,
} from '@podwire/api'
import type { Deadlines } from '../config/parse.ts'
import { runOperation } from '../current-operation.ts'
import { withDeadline } from '../deadline.ts'
import { errors } from '../errors.ts'
import { parsePluginStatus } from './plugin-status.ts'

/**
 * Calls an initialised plugin: each operation with a deadline, each result checked, each error wrapped with the plugin,
 * the operation, the pod and the time it took. Source: the kubelet's `network.PluginManager`; the lock for a pod lies
 * with the host, which holds it over its own records too.
 */
export interface PluginManager {
  readonly name: string
  /** @throws PodwireError `BAD_PLUGIN_RESULT` */
  capabilities(): number
  setUpPod(pod: Pod, signal?: AbortSignal): Promise<PodNetworkStatus | undefined>
  tearDownPod(pod: PodRef, signal?: AbortSignal): Promise<void>
  getPodNetworkStatus(pod: PodRef, signal?: AbortSignal): Promise<PodNetworkStatus | undefined>
  /** Resolves without asking when the plugin can't check. */
  checkPod(pod: PodRef, signal?: AbortSignal): Promise<void>
  /** Resolves without asking when the plugin can't collect. */
  collectGarbage(validSandboxIds: readonly string[], signal?: AbortSignal): Promise<void>
  event(name: string, details: EventDetails): Promise<void>
  /** Why pods can't be set up; undefined when they can. */
  notReady(): Promise<string | undefined>
  close(): Promise<void>
}

/** For a plugin to undo what it did after a deadline. Milliseconds. */
export const graceMs = 5_000

export function createPluginManager(plugin: NetworkPlugin, deadlines: Deadlines): PluginManager {
  const { name } = plugin

  const call = async <T>(
    operation: string,
    ms: number,
    run: (signal: AbortSignal) => T | Promise<T>,
    { pod, signal }: { pod?: PodRef; signal?: AbortSignal | undefined } = {},
  ): Promise<T> => {
    const started = performance.now()
    try {
      const what = `network plugin "${name}" (${operation})`
      return await runOperation({ plugin: name, operation }, () =>
        withDeadline(what, ms, run, { signal, graceMs }),
      )
    } catch (cause) {
      const durationMs = performance.now() - started
      throw errors.PLUGIN_OPERATION_FAILED(
        { plugin: name, operation, pod: pod && podRef(pod), durationMs },
        cause,
      )
    }
  }

  const capabilities = () => {
    const returned: unknown = plugin.capabilities()
    if (Number.isSafeInteger(returned) && (returned as number) >= 0) return returned as number
    throw errors.BAD_PLUGIN_RESULT({
      plugin: name,
      operation: 'capabilities',
      returned,
      problem: 'not a bitset',
    })
  }
  const can = (bit: number) => hasCapabilities(capabilities(), bit)

  return {
    name,
    capabilities,
    setUpPod: (pod, signal) =>
      call(
        'set up',
        deadlines.setUpPod,
        async (inner) => parsePluginStatus(name, 'setUpPod', await plugin.setUpPod(pod, inner)),
        { pod, signal },
      ),
    tearDownPod: (pod, signal) =>
      call('tear down', deadlines.tearDownPod, (inner) => plugin.tearDownPod(pod, inner), { pod, signal }),
    getPodNetworkStatus: (pod, signal) =>
      call(
        'get the status of',
        deadlines.getPodNetworkStatus,
        async (inner) =>
          parsePluginStatus(name, 'getPodNetworkStatus', await plugin.getPodNetworkStatus(pod, inner)),
        { pod, signal },
      ),
    checkPod: async (pod, signal) => {
      if (!can(Capability.check)) return
      await call('check', deadlines.checkPod, (inner) => plugin.checkPod?.(pod, inner), { pod, signal })
    },
    collectGarbage: async (validSandboxIds, signal) => {
      if (!can(Capability.gc)) return
      const collect = (inner: AbortSignal) => plugin.collectGarbage?.(validSandboxIds, inner)
      await call('collect garbage', deadlines.collectGarbage, collect, { signal })
    },
    event: (event, details) =>
      call(`take event "${event}"`, deadlines.event, () => plugin.event(event, details)),
    notReady: async () => {
      try {
        await runOperation({ plugin: name, operation: 'status' }, () =>
          withDeadline(`status of network plugin "${name}"`, deadlines.status, () => plugin.status()),
        )
        return undefined
      } catch (error) {
        return messageOf(error)
      }
    },
    close: async () => {
      await call('close', deadlines.event, () => plugin.close?.())
    },
  }
}
