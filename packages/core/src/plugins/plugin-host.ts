import type { EventDetails, Host, Pod } from '@podwire/api'
import { errors } from '../errors.ts'
import type { HostEmitter } from '../events.ts'
import { parseFlow } from '../policy/flow.ts'

/** What a host can look up of a sandbox. */
export interface SandboxLookUp {
  get(sandboxId: string): { readonly pod: Pod } | undefined
  find(pod: { readonly namespace: string; readonly name: string }): { readonly pod: Pod } | undefined
}

/** What the plugin called `plugin` may ask: the answers come from the records, so they outlive the process. */
export function createPluginHost(plugin: string, sandboxes: SandboxLookUp, events: HostEmitter): Host {
  return {
    getNetNS: async (sandboxId) => {
      const record = sandboxes.get(sandboxId)
      if (!record) throw errors.UNKNOWN_SANDBOX({ sandboxId })
      return record.pod.netns
    },
    getPodPortMappings: async (sandboxId) => sandboxes.get(sandboxId)?.pod.portMappings ?? [],
    getPodByName: async (namespace, name) => sandboxes.find({ namespace, name })?.pod,
    getKubeClient: () => undefined,
    getContainerRuntime: () => undefined,
    supportsLegacyFeatures: () => true,
    report: (event: string, details: EventDetails) => {
      const told = parseFlow(event, details)
      // What it is agrees with its name.
      if (told) events.emit(told.event, { plugin, ...told.flow } as never)
      else events.emit('plugin:report', { plugin, event, details })
    },
  }
}
