import { describeValue, type PodRef, PodwireError, podKey } from '@podwire/api'

// One function for each thing that can go wrong besides what CNI itself says.

export function uninitialized({
  confDir,
  network,
  problems,
}: {
  confDir: string
  network: string | undefined
  problems: readonly string[]
}) {
  const wanted = network === undefined ? 'no valid network configuration' : `no network "${network}"`
  const skipped = problems.length > 0 ? ` Skipped: ${problems.join('; ')}` : ''
  return new PodwireError({
    code: 'CNI_UNINITIALIZED',
    // The kubelet's words come first: tools look for them.
    message: `cni config uninitialized: ${wanted} in ${confDir}: put a .conflist there.${skipped}`,
    details: { confDir, network, problems },
  })
}

export function notInitialised() {
  return new PodwireError({
    code: 'CNI_NOT_INITIALISED',
    message: 'The cni plugin was called before its init.',
  })
}

export function badNetworksAnnotation({ value, problem }: { value: string; problem: string }) {
  return new PodwireError({
    code: 'CNI_BAD_NETWORKS_ANNOTATION',
    message: `k8s.v1.cni.cncf.io/networks: ${problem}. Give NAME[@IFNAME],… or a JSON list, got ${describeValue(value)}`,
    details: { value, problem },
    exitCode: 2,
  })
}

export function unknownNetwork({
  pod,
  network,
  confDir,
  known,
}: {
  pod: PodRef
  network: string
  confDir: string
  known: readonly string[]
}) {
  return new PodwireError({
    code: 'CNI_UNKNOWN_NETWORK',
    message: `Pod ${podKey(pod)} asks for network "${network}": there is none of that name in ${confDir}. There are: ${known.join(', ') || 'none'}.`,
    details: { pod, network, confDir, known },
    exitCode: 2,
  })
}

export function undeclaredCapabilities({
  pod,
  network,
  capabilities,
}: {
  pod: PodRef
  network: string
  capabilities: readonly string[]
}) {
  return new PodwireError({
    code: 'CNI_UNDECLARED_CAPABILITY',
    message: `Pod ${podKey(pod)} asks network "${network}" for ${capabilities.join(', ')}, which none of its plugins declares: add "capabilities" to its configuration.`,
    details: { pod, network, capabilities },
    exitCode: 2,
  })
}

export function unreadableAttachment({ file, network }: { file: string; network: string }) {
  return new PodwireError({
    code: 'CNI_UNREADABLE_ATTACHMENT',
    message: `${file} can't be read, and network "${network}" that it was of is not configured: put its configuration back to have it detached, or remove the file.`,
    details: { file, network },
  })
}

export function notAttached({ pod, network, ifName }: { pod: PodRef; network: string; ifName: string }) {
  return new PodwireError({
    code: 'CNI_NOT_ATTACHED',
    message: `Pod ${podKey(pod)}: its attachment ${ifName} to network "${network}" never came to its end: set the pod up again.`,
    details: { pod, network, ifName },
  })
}

export function notSetUp({ pod }: { pod: PodRef }) {
  return new PodwireError({
    code: 'CNI_NOT_SET_UP',
    message: `Pod ${podKey(pod)} has no attachment in sandbox ${pod.sandboxId}: set it up.`,
    details: { pod },
  })
}

export function severalFailed({ what, errors }: { what: string; errors: readonly Error[] }) {
  return new PodwireError({
    code: 'CNI_SEVERAL_FAILED',
    message: `${what}: ${errors.map((error) => error.message).join('; ')}`,
    details: { errors },
    cause: errors[0],
  })
}
