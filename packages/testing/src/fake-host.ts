import { bandwidthOf, type EventDetails, type Host, type Pod } from '@podwire/api'
import { errors } from './errors.ts'

/** What a {@link FakeHost} knows at the start. */
export interface FakeHostOptions {
  /** Sandbox ID → path of its network namespace, for sandboxes besides those of `pods`. */
  readonly sandboxes?: Readonly<Record<string, string>>
  /** Each completed by {@link fakePod}. */
  readonly pods?: readonly Partial<Pod>[]
  readonly kubeClient?: unknown
  readonly containerRuntime?: unknown
  /** Default: true, as a Podwire host says. False: a plugin must not look for pods here. */
  readonly supportsLegacyFeatures?: boolean
}

/** A host that knows what a test tells it, now or later: its collections may be changed at any time. */
export interface FakeHost extends Host {
  /** Sandbox ID → path of its network namespace. Delete one, and `getNetNS` rejects. */
  readonly sandboxes: Map<string, string>
  /** What the kubelet's look-ups find. */
  readonly pods: Pod[]
  /** Every `report`, in order. */
  readonly reports: readonly { readonly event: string; readonly details: EventDetails }[]
}

/** Makes a {@link FakeHost}: `fakeHost({ pods: [pod] })` knows the pod, its sandbox and its namespace. */
export function fakeHost(options: FakeHostOptions = {}): FakeHost {
  const pods = (options.pods ?? []).map(fakePod)
  const ofPods = pods.map(({ sandboxId, netns }) => [sandboxId, netns] as const)
  const sandboxes = new Map([...ofPods, ...Object.entries(options.sandboxes ?? {})])
  const reports: { event: string; details: EventDetails }[] = []
  return {
    sandboxes,
    pods,
    reports,
    async getNetNS(sandboxId) {
      const netns = sandboxes.get(sandboxId)
      if (netns !== undefined) return netns
      throw errors.UNKNOWN_SANDBOX({ sandboxId, known: [...sandboxes.keys()] })
    },
    async getPodPortMappings(sandboxId) {
      return pods.find((pod) => pod.sandboxId === sandboxId)?.portMappings ?? []
    },
    async getPodByName(namespace, name) {
      return pods.find((pod) => pod.namespace === namespace && pod.name === name)
    },
    getKubeClient: () => options.kubeClient,
    getContainerRuntime: () => options.containerRuntime,
    supportsLegacyFeatures: () => options.supportsLegacyFeatures ?? true,
    report(event, details) {
      reports.push({ event, details })
    },
  }
}

/**
 * A pod for tests, as a host hands it to `setUpPod`: `default/web` in `sandbox-1`, its namespace named after the sandbox,
 * no annotations and no ports, where not given otherwise. Its bandwidth is what its annotations ask for.
 */
export function fakePod(pod: Partial<Pod> = {}): Pod {
  const { sandboxId = 'sandbox-1', annotations = {} } = pod
  const bandwidth = bandwidthOf(annotations)
  return {
    namespace: 'default',
    name: 'web',
    sandboxId,
    netns: `/run/netns/${sandboxId}`,
    annotations,
    portMappings: [],
    ...(Object.keys(bandwidth).length > 0 ? { bandwidth } : {}),
    ...pod,
  }
}
