import { type EventDetails, FLOW_DENIED, type Host, type Pod } from '@podwire/api'
import { errors } from '../errors.ts'
import type { HostEmitter } from '../events.ts'
import { parseDeniedFlow } from '../policy/denied-flow.ts'

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
      const flow = event === FLOW_DENIED ? parseDeniedFlow(details) : undefined
      if (flow) events.emit(FLOW_DENIED, { plugin, ...flow })
      else events.emit('plugin:report', { plugin, event, details })
    },
  }
}
