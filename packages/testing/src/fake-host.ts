import { type EventDetails, type Host, type Pod, PodwireError } from '@podwire/api'

/** What a {@link FakeHost} knows at the start. */
export interface FakeHostOptions {
  /** Sandbox ID → path of its network namespace. */
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
  /** Names, annotations and port mappings are looked up here. */
  readonly pods: Pod[]
  /** Every `report`, in order. */
  readonly reports: readonly { readonly event: string; readonly details: EventDetails }[]
}

/** Makes a {@link FakeHost}: `fakeHost({ sandboxes: { s1: '/run/netns/s1' }, pods: [{ sandboxId: 's1' }] })`. */
export function fakeHost(options: FakeHostOptions = {}): FakeHost {
  const sandboxes = new Map(Object.entries(options.sandboxes ?? {}))
  const pods = (options.pods ?? []).map(fakePod)
  const reports: { event: string; details: EventDetails }[] = []
  return {
    sandboxes,
    pods,
    reports,
    async getNetNS(sandboxId) {
      const netns = sandboxes.get(sandboxId)
      if (netns !== undefined) return netns
      throw unknownSandbox(sandboxId, [...sandboxes.keys()])
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

/** A pod for tests: `default/web` in `sandbox-1`, without annotations and ports, unless told otherwise. */
export function fakePod(pod: Partial<Pod> = {}): Pod {
  return {
    namespace: 'default',
    name: 'web',
    sandboxId: 'sandbox-1',
    annotations: {},
    portMappings: [],
    ...pod,
  }
}

function unknownSandbox(sandboxId: string, known: readonly string[]): PodwireError {
  return new PodwireError({
    code: 'UNKNOWN_SANDBOX',
    message: `The fake host has no sandbox "${sandboxId}": put it into its sandboxes. Known: ${known.join(', ') || 'none'}.`,
    details: { sandboxId, known },
  })
}
