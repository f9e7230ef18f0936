import type { EventDetails, Host } from '@podwire/api'
import { unknownSandbox } from './errors.ts'
import type { HostEmitter } from './events.ts'
import { findRecord } from './sandboxes/sandboxes.ts'
import type { SandboxStore } from './state/sandbox-store.ts'

/** What the plugin called `plugin` may ask: the answers come from the records, so they outlive the process. */
export function createPluginHost(plugin: string, store: SandboxStore, events: HostEmitter): Host {
  return {
    getNetNS: async (sandboxId) => {
      const record = store.get(sandboxId)
      if (!record) throw unknownSandbox({ sandboxId })
      return record.netns
    },
    getPodPortMappings: async (sandboxId) => store.get(sandboxId)?.pod.portMappings ?? [],
    getPodByName: async (namespace, name) => findRecord(store, { namespace, name })?.pod,
    getKubeClient: () => undefined,
    getContainerRuntime: () => undefined,
    supportsLegacyFeatures: () => true,
    report: (event: string, details: EventDetails) => {
      events.emit('plugin:report', { plugin, event, details })
    },
  }
}
