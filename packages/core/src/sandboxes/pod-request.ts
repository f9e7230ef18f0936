import { isIP } from 'node:net'
import {
  bandwidthOf,
  DEFAULT_INTERFACE_NAME,
  describeValue,
  type Pod,
  type PodRef,
  type Policy,
  type PortMapping,
} from '@podwire/api'
import { errors } from '../errors.ts'
import { effectivePolicy, parsePolicy } from '../policy/policy.ts'
import { netnsPathOf } from './netns.ts'
import { defaultSandboxId, isSandboxId } from './sandbox-id.ts'

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
  /** What it may reach, and who may reach it; a side that is absent is as the configuration says. */
  readonly policy?: Policy
  /** A pod that ends without an address is an error otherwise, unless the plugin is the no-op. */
  readonly allowNoAddress?: boolean
  /** Which attachment of a container runtime the pod is; its interface gets the attachment's name. */
  readonly attachment?: CniAttachment
  /** A pod that is set up already is an error, instead of being kept or changed. */
  readonly mustBeNew?: boolean
}

/** What a container runtime calls a pod that it brought by CNI. */
export interface CniAttachment {
  /** Of the network's configuration. */
  readonly network: string
  readonly containerId: string
  /** Of the interface in the sandbox. */
  readonly ifName: string
  /** The orchestrator's, where it said so. */
  readonly podUid?: string
}

/** What names a pod that may be set up already. */
export interface PodName {
  readonly namespace: string
  readonly name: string
  readonly sandboxId?: string
}

const dnsLabel = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/

/**
 * Checks a request whole.
 * @param basePolicy the configuration's
 * @throws PodwireError `INVALID_POD` with every problem; `INVALID_BANDWIDTH`
 */
export function parsePodRequest(request: PodRequest, basePolicy?: Policy): Pod {
  const { annotations = {}, portMappings = [] } = request
  const own = request.policy === undefined ? undefined : parsePolicy(request.policy)
  const problems = [
    ...podProblems({ ...request, annotations, portMappings }),
    ...sandboxProblems(request),
    ...interfaceProblems(request.attachment?.ifName),
    ...(own?.problems ?? []),
  ]
  if (problems.length > 0) throw errors.INVALID_POD({ pod: request, problems })
  const bandwidth = bandwidthOf(annotations)
  const ref = parsePodName(request)
  const policy = effectivePolicy(basePolicy, own?.policy)
  const ifName = request.attachment?.ifName ?? DEFAULT_INTERFACE_NAME
  return {
    ...ref,
    netns: askedNetns(request) ?? netnsPathOf(ref.sandboxId),
    ...(ifName === DEFAULT_INTERFACE_NAME ? {} : { ifName }),
    annotations: { ...annotations },
    portMappings: portMappings.map(withOwnKeys),
    ...(bandwidth.ingress === undefined && bandwidth.egress === undefined ? {} : { bandwidth }),
    ...(policy ? { policy } : {}),
  }
}

/** The network namespace that a request adopts; undefined: the host makes one. */
export function askedNetns({ netns, pid }: PodRequest): string | undefined {
  return netns ?? (pid === undefined ? undefined : `/proc/${pid}/ns/net`)
}

/**
 * Checks a pod's names, and gives it the sandbox id that belongs to them.
 * @throws PodwireError `INVALID_POD`
 */
export function parsePodName(pod: PodName): PodRef {
  const problems = nameProblems(pod)
  if (problems.length > 0) throw errors.INVALID_POD({ pod, problems })
  const { namespace, name } = pod
  return { namespace, name, sandboxId: pod.sandboxId ?? defaultSandboxId(pod) }
}

/** What is wrong with a pod, each in a phrase, wherever it comes from; empty when nothing is. */
export function podProblems(
  pod: PodName & Pick<Pod, 'annotations' | 'portMappings'> & { netns?: string; ifName?: string },
): string[] {
  return [
    ...nameProblems(pod),
    ...interfaceProblems(pod.ifName),
    ...annotationProblems(pod.annotations),
    ...portProblems(pod.portMappings),
    ...netnsProblems(pod.netns),
  ]
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
  if (sandboxId !== undefined && (typeof sandboxId !== 'string' || !isSandboxId(sandboxId))) {
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
  const before = new Map<string, PortMapping[]>()
  for (const mapping of portMappings) {
    const { hostPort, containerPort, protocol, hostIP = '' } = mapping
    const shown = `${hostIP && `${hostIP}:`}${hostPort}:${containerPort}/${protocol}`
    for (const port of [hostPort, containerPort]) {
      if (!Number.isInteger(port) || port < 1 || port > 65535)
        problems.push(`port ${port} in ${shown} must be 1–65535`)
    }
    if (!['tcp', 'udp', 'sctp'].includes(protocol))
      problems.push(`protocol in ${shown} must be tcp, udp or sctp`)
    if (hostIP && !isIP(hostIP)) problems.push(`host address in ${shown} must be an IP address`)
    const port = `${hostPort}/${protocol}`
    const others = before.get(port) ?? []
    if (others.some((other) => overlap(mapping, other))) problems.push(`host port ${port} is mapped twice`)
    others.push(mapping)
    before.set(port, others)
  }
  return problems
}

/** Whether a packet to one port could be meant for both: on one address, or one of the two on every address of the family. */
function overlap(a: PortMapping, b: PortMapping): boolean {
  const [one = '', other = ''] = [a.hostIP, b.hostIP]
  return one === other || covers(one, other) || covers(other, one)
}

function covers(wildcard: string, address: string): boolean {
  if (wildcard === '' || address === '') return wildcard === ''
  return (wildcard === '0.0.0.0' && isIP(address) === 4) || (wildcard === '::' && isIP(address) === 6)
}

function sandboxProblems({ netns, pid }: PodRequest): string[] {
  const problems: string[] = []
  if (netns !== undefined && pid !== undefined) problems.push('give a netns or a pid, not both')
  if (pid !== undefined && (!Number.isInteger(pid) || pid < 1))
    problems.push(`pid ${describeValue(pid)} must be the number of a process`)
  return problems
}

function netnsProblems(netns: string | undefined): string[] {
  if (netns === undefined || (typeof netns === 'string' && netns.startsWith('/') && !netns.includes('\0')))
    return []
  return [`netns ${describeValue(netns)} must be an absolute path`]
}

function interfaceProblems(name: string | undefined): string[] {
  // What the kernel takes as the name of a link.
  if (
    name === undefined ||
    (/^[^/:\s\0]{1,15}$/.test(name) && !/^\.\.?$/.test(name) && Buffer.byteLength(name) < 16)
  )
    return []
  return [`interface ${describeValue(name)} must be 1–15 bytes without "/", ":" and spaces`]
}

function withOwnKeys({ hostPort, containerPort, protocol, hostIP }: PortMapping): PortMapping {
  return { hostPort, containerPort, protocol, ...(hostIP ? { hostIP } : {}) }
}
