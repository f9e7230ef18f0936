import { defineErrors, describeValue, messageOf, type PodRef, podKey, printable } from '@podwire/api'

/** All that can go wrong besides what CNI itself says. */
export const errors = defineErrors({
  CNI_UNINITIALIZED: {
    // The kubelet's words come first: tools look for them.
    message: ({ confDir, network, problems }: Uninitialized) =>
      `cni config uninitialized: ${network === undefined ? 'no valid network configuration' : `no network "${network}"`} in ${confDir}${
        problems.length > 0 ? ` (skipped: ${problems.join('; ')})` : ''
      }`,
    remedy: ({ confDir }) => `Put a .conflist into ${confDir}.`,
  },
  CNI_NOT_INITIALISED: {
    message: () => 'The plugin cni was called before its init.',
    remedy: 'Call init first.',
  },
  CNI_BAD_NETWORKS_ANNOTATION: {
    message: ({ value, problem }: { value: string; problem: string }) =>
      `k8s.v1.cni.cncf.io/networks is ${describeValue(value)}: ${printable(problem)}`,
    remedy: 'Give NAME[@IFNAME],… or a JSON list of objects.',
    exitCode: 2,
  },
  CNI_UNKNOWN_NETWORK: {
    message: ({ pod, network, confDir, known }: UnknownNetwork) =>
      `Pod ${podKey(pod)} asks for network "${printable(network)}", which is not in ${confDir}; there is: ${known.join(', ') || 'none'}`,
    remedy: 'Name one of these, or add its configuration.',
    exitCode: 2,
  },
  CNI_UNDECLARED_CAPABILITY: {
    message: (about: { pod: PodRef; network: string; capabilities: readonly string[] }) =>
      `Pod ${podKey(about.pod)} asks network "${about.network}" for ${about.capabilities.join(', ')}, which none of its plugins declares`,
    remedy: ({ capabilities }: { capabilities: readonly string[] }) =>
      `Add ${JSON.stringify({ capabilities: Object.fromEntries(capabilities.map((name) => [name, true])) })} to the plugin that supports it.`,
    exitCode: 2,
  },
  CNI_UNREADABLE_ATTACHMENT: {
    message: ({ file, network }: { file: string; network: string }) =>
      `${file} can't be read, and its network "${network}" is not configured`,
    remedy: ({ file }) =>
      `Put the configuration of the network back to have it detached, or remove ${file} to forget it.`,
  },
  CNI_UNUSABLE_CONFIGURATION: {
    message: (about: { network: string; ifName: string; confDir: string }, cause: unknown) =>
      `The set-up of ${about.ifName} on network "${about.network}" never came to its end, and it can't be undone by its configuration: ${printable(messageOf(cause))}`,
    remedy: ({ network, confDir }) =>
      `Correct network "${network}" in ${confDir} and tear the pod down again, or give up what is left with podwire down --force.`,
  },
  CNI_NOT_ATTACHED: {
    message: ({ pod, network, ifName }: { pod: PodRef; network: string; ifName: string }) =>
      `Pod ${podKey(pod)}: the set-up of ${ifName} on network "${network}" never came to its end`,
    remedy: 'Set the pod up again.',
  },
  CNI_NOT_SET_UP: {
    message: ({ pod }: { pod: PodRef }) => `Pod ${podKey(pod)} has no attachment in sandbox ${pod.sandboxId}`,
    remedy: 'Set the pod up.',
  },
  CNI_SEVERAL_FAILED: {
    message: ({ what, errors }: { what: string; errors: readonly Error[] }) =>
      `${what}: ${errors.map((error) => printable(messageOf(error))).join('; ')}`,
  },
})

interface Uninitialized {
  readonly confDir: string
  /** The name that the options ask for. */
  readonly network: string | undefined
  readonly problems: readonly string[]
}

interface UnknownNetwork {
  readonly pod: PodRef
  readonly network: string
  readonly confDir: string
  readonly known: readonly string[]
}
