import type { EventDetails, Host, Pod } from '@podwire/api'

/** A pod of a {@link FakeHost}: what it leaves out is empty. */
export type FakePod = Pick<Pod, 'namespace' | 'name' | 'sandboxId'> &
  Partial<Pod> & { readonly netns?: string }

/** A host for a plugin under test. Change its pods between calls as the orchestrator would. */
export interface FakeHost extends Host {
  /** By sandbox id. */
  readonly pods: Map<string, FakePod>
  /** What the plugin reported, in order. */
  readonly reports: { event: string; details: EventDetails }[]
  /** Adds a pod, or replaces it. */
  addPod(pod: FakePod): void
  removePod(sandboxId: string): void
}

/** Makes a host that knows these pods. */
export function createFakeHost(...initial: readonly FakePod[]): FakeHost {
  const pods = new Map<string, FakePod>()
  const reports: FakeHost['reports'] = []
  const host: FakeHost = {
    pods,
    reports,
    addPod: (pod) => void pods.set(pod.sandboxId, pod),
    removePod: (sandboxId) => void pods.delete(sandboxId),
    getNetNS: async (sandboxId) => {
      const netns = pods.get(sandboxId)?.netns
      if (netns === undefined)
        throw new Error(`the fake host has no network namespace for sandbox "${sandboxId}"`)
      return netns
    },
    getPodPortMappings: async (sandboxId) => pods.get(sandboxId)?.portMappings ?? [],
    getPodByName: async (namespace, name) => {
      const pod = [...pods.values()].find((one) => one.namespace === namespace && one.name === name)
      return pod && { annotations: {}, portMappings: [], ...pod }
    },
    getKubeClient: () => undefined,
    getContainerRuntime: () => undefined,
    supportsLegacyFeatures: () => true,
    report: (event, details) => void reports.push({ event, details }),
  }
  for (const pod of initial) host.addPod(pod)
  return host
}
