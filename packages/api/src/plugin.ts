import type { Pod, PodNetworkStatus, PodRef, PortMapping } from './pod.ts'

/** How a pod reaches itself through its own published port. */
export type HairpinMode = 'promiscuous-bridge' | 'hairpin-veth' | 'none'

/** What a host tells its plugin once, at the start. */
export interface InitOptions {
  readonly hairpinMode: HairpinMode
  /** Destinations in this CIDR see the pod's own address; the others the host's. */
  readonly nonMasqueradeCIDR: string
  /** Bytes; {@link USE_DEFAULT_MTU}: the plugin chooses. */
  readonly mtu: number
  /** False: the host ends with what it was asked for, so that nobody can rely on it afterwards. Absent: it stays. */
  readonly resident?: boolean
}

/** The details of an event, by name: `{ 'pod-cidr': '10.88.0.0/16' }`. */
export type EventDetails = Readonly<Record<string, unknown>>

/**
 * A network plugin. Source: the kubelet's `network.NetworkPlugin`.
 *
 * Every operation on a pod gets a signal that aborts at the host's deadline: stop what you started, child processes too.
 * A host never runs two operations on one pod at once; operations on different pods do run at once.
 */
export interface NetworkPlugin {
  /** A Kubernetes qualified name: `kubenet`, `acme.io/mysdn`. */
  readonly name: string
  /** Called once, before anything else. A plugin that can't work here rejects. */
  init(host: Host, options: InitOptions): Promise<void>
  /** Called for every event of the host, {@link NET_PLUGIN_EVENT_POD_CIDR_CHANGE} among them. Ignore those you don't know. */
  event(name: string, details: EventDetails): void | Promise<void>
  /** A bitset of {@link Capability}; asked whenever a pod needs one, so that it may change. */
  capabilities(): number
  /**
   * Gives the pod its network. Idempotent: a second call leaves what is right alone, mends what is not, and applies
   * changed annotations and port mappings. A call that fails leaves a new pod without anything, and an old one as it was.
   */
  setUpPod(pod: Pod, signal: AbortSignal): Promise<PodNetworkStatus | void>
  /** Takes the pod's network away. Idempotent: also for a pod never seen, and after its namespace is gone. */
  tearDownPod(pod: PodRef, signal: AbortSignal): Promise<void>
  /** The pod's addresses; undefined: the host looks for itself. */
  getPodNetworkStatus(pod: PodRef, signal: AbortSignal): Promise<PodNetworkStatus | undefined>
  /** Rejects while pods can't be set up, and says why. */
  status(): Promise<void>
  /** With {@link Capability}.check. Rejects when the pod's network is no longer as it was set up, and says what differs. */
  checkPod?(pod: PodRef, signal: AbortSignal): Promise<void>
  /** With {@link Capability}.gc. Frees what belongs to sandboxes that are not in the list. */
  collectGarbage?(validSandboxIds: readonly string[], signal: AbortSignal): Promise<void>
  /** Called once, at the host's end: stop timers and watchers. Pods keep their networks. */
  close?(): Promise<void>
}

/** Source: `network.NamespaceGetter`. */
export interface NamespaceGetter {
  /**
   * The path of the sandbox's network namespace.
   * @throws PodwireError `UNKNOWN_SANDBOX`
   */
  getNetNS(sandboxId: string): Promise<string>
}

/** Source: `network.PortMappingGetter`. */
export interface PortMappingGetter {
  /** The ports the pod publishes; empty when none, or when the sandbox isn't known. */
  getPodPortMappings(sandboxId: string): Promise<readonly PortMapping[]>
}

/** Source: `network.LegacyHost`. */
export interface LegacyHost {
  /** The pod of these names, undefined when the host has none. */
  getPodByName(namespace: string, name: string): Promise<Pod | undefined>
  /** The orchestrator's client, where there is one. */
  getKubeClient(): unknown
  /** The container runtime, where there is one. */
  getContainerRuntime(): unknown
  /** False: a plugin must not use the other methods of this interface. */
  supportsLegacyFeatures(): boolean
}

/** What a plugin may ask of its host. Source: `network.Host`. */
export interface Host extends NamespaceGetter, PortMappingGetter, LegacyHost {
  /** Tells the host's listeners that something happened: a repair, a lease collected. Never throws. */
  report(event: string, details: EventDetails): void
}
