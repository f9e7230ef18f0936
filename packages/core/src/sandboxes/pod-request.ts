import { isIP } from 'node:net'
import { bandwidthOf, describeValue, type Pod, type PortMapping } from '@podwire/api'
import { invalidPod } from '../errors.ts'
import { defaultSandboxId } from './sandbox-id.ts'

/** What a caller asks a host to set up. */
export interface PodRequest {
  /** A DNS label: `default`. */
  readonly namespace: string
  /** A DNS subdomain: `web`. */
  readonly name: string
  /** Default: made from the pod's names, the same each time. */
  readonly sandboxId?: string
  /** Adopt this network namespace; the host neither makes nor removes it. */
  readonly netns?: string
  /** Adopt the network namespace of this process. */
  readonly pid?: number
  /** The sandbox ends with this process: when it is gone, the next host to start takes the pod down. */
  readonly ownerPid?: number
  readonly annotations?: Readonly<Record<string, string>>
  readonly portMappings?: readonly PortMapping[]
}

/** What names a pod that may be set up already. */
export interface PodName {
  readonly namespace: string
  readonly name: string
  readonly sandboxId?: string
}

const dnsLabel = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/
const sandboxIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/

/**
 * Checks a request whole.
 * @throws PodwireError `INVALID_POD` with every problem; `INVALID_BANDWIDTH`
 */
export function parsePodRequest(request: PodRequest): Pod {
  const { annotations = {}, portMappings = [] } = request
  const problems = [
    ...nameProblems(request),
    ...annotationProblems(annotations),
    ...portProblems(portMappings),
    ...namespaceProblems(request),
  ]
  if (problems.length > 0) throw invalidPod({ pod: request, problems })
  bandwidthOf(annotations)
  return {
    ...parsePodName(request),
    annotations: { ...annotations },
    portMappings: portMappings.map(withOwnKeys),
  }
}

/**
 * Checks a pod's names, and gives it the sandbox id that belongs to them.
 * @throws PodwireError `INVALID_POD`
 */
export function parsePodName(pod: PodName): { namespace: string; name: string; sandboxId: string } {
  const problems = nameProblems(pod)
  if (problems.length > 0) throw invalidPod({ pod, problems })
  const { namespace, name } = pod
  return { namespace, name, sandboxId: pod.sandboxId ?? defaultSandboxId(pod) }
}

function nameProblems({ namespace, name, sandboxId }: PodName): string[] {
  const problems: string[] = []
  if (typeof namespace !== 'string' || namespace.length > 63 || !dnsLabel.test(namespace)) {
    problems.push(
      `namespace ${describeValue(namespace)} must be 1–63 lower-case letters, digits or "-", with a letter or digit at both ends`,
    )
  }
  if (
    typeof name !== 'string' ||
    name.length > 253 ||
    !name.split('.').every((label) => dnsLabel.test(label))
  ) {
    problems.push(
      `name ${describeValue(name)} must be 1–253 lower-case letters, digits, "-" or ".", with a letter or digit at both ends`,
    )
  }
  if (sandboxId !== undefined && (sandboxId.length > 128 || !sandboxIdPattern.test(sandboxId))) {
    problems.push(
      `sandbox id ${describeValue(sandboxId)} must be 1–128 letters, digits, "_", "." or "-", a letter or digit first`,
    )
  }
  return problems
}

function annotationProblems(annotations: Readonly<Record<string, string>>): string[] {
  return Object.entries(annotations).flatMap(([key, value]) =>
    typeof value === 'string'
      ? []
      : [`annotation ${describeValue(key)} must be a string, not ${describeValue(value)}`],
  )
}

function portProblems(portMappings: readonly PortMapping[]): string[] {
  const problems: string[] = []
  const seen = new Set<string>()
  for (const { hostPort, containerPort, protocol, hostIP = '' } of portMappings) {
    const shown = `${hostIP && `${hostIP}:`}${hostPort}:${containerPort}/${protocol}`
    for (const port of [hostPort, containerPort]) {
      if (!Number.isInteger(port) || port < 1 || port > 65535)
        problems.push(`port ${port} in ${shown} must be 1–65535`)
    }
    if (!['tcp', 'udp', 'sctp'].includes(protocol))
      problems.push(`protocol in ${shown} must be tcp, udp or sctp`)
    if (hostIP && !isIP(hostIP)) problems.push(`host address in ${shown} must be an IP address`)
    const key = `${hostIP} ${hostPort} ${protocol}`
    if (seen.has(key)) problems.push(`host port ${hostPort}/${protocol} is mapped twice`)
    seen.add(key)
  }
  return problems
}

function namespaceProblems({ netns, pid }: PodRequest): string[] {
  const problems: string[] = []
  if (netns !== undefined && pid !== undefined) problems.push('give a netns or a pid, not both')
  if (pid !== undefined && (!Number.isInteger(pid) || pid < 1))
    problems.push(`pid ${pid} must be a process id`)
  if (netns !== undefined && (!netns.startsWith('/') || netns.includes('\0'))) {
    problems.push(`netns ${describeValue(netns)} must be an absolute path`)
  }
  return problems
}

function withOwnKeys({ hostPort, containerPort, protocol, hostIP }: PortMapping): PortMapping {
  return { hostPort, containerPort, protocol, ...(hostIP ? { hostIP } : {}) }
}
