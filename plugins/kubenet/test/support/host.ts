import {
  bandwidthOf,
  type EventDetails,
  type Host,
  type Pod,
  type Policy,
  type PortMapping,
} from '@podwire/api'

/** A host that knows the pods it was told of, and remembers what was reported to it. */
export interface TestHost extends Host {
  readonly pods: Map<string, Pod>
  readonly reports: { event: string; details: EventDetails }[]
  /** Makes a pod known; another call with the same sandbox changes it. */
  addPod(sandboxId: string, netns: string, more?: PodSettings): Pod
}

export interface PodSettings {
  annotations?: Record<string, string>
  portMappings?: PortMapping[]
  policy?: Policy
}

export function createTestHost(): TestHost {
  const pods: TestHost['pods'] = new Map()
  const reports: TestHost['reports'] = []
  return {
    pods,
    reports,
    addPod(sandboxId, netns, { annotations = {}, portMappings = [], policy } = {}) {
      const bandwidth = bandwidthOf(annotations)
      const pod = {
        namespace: 'test',
        name: sandboxId,
        sandboxId,
        annotations,
        portMappings,
        netns,
        bandwidth,
        ...(policy ? { policy } : {}),
      }
      pods.set(sandboxId, pod)
      return pod
    },
    async getNetNS(sandboxId) {
      const pod = pods.get(sandboxId)
      if (!pod) throw new Error(`unknown sandbox ${sandboxId}`)
      return pod.netns
    },
    getPodPortMappings: async (sandboxId) => pods.get(sandboxId)?.portMappings ?? [],
    getPodByName: async (_, name) => pods.get(name),
    getKubeClient: () => undefined,
    getContainerRuntime: () => undefined,
    supportsLegacyFeatures: () => true,
    report: (event, details) => void reports.push({ event, details }),
  }
}
