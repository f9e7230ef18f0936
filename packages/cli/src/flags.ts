import { isIP } from 'node:net'
import {
  EGRESS_BANDWIDTH_ANNOTATION,
  INGRESS_BANDWIDTH_ANNOTATION,
  type PortMapping,
  parseBandwidth,
  parseDuration,
} from '@podwire/api'
import { errors } from './errors.ts'
import { type PolicyFlags, policyOfFlags } from './policy-flags.ts'

/** The flags that every command takes. */
export interface GlobalFlags {
  readonly config?: string
  readonly stateDir?: string
  readonly trust?: readonly string[]
  readonly verbose?: boolean
  /** True: a daemon or nothing; false: none; absent: one that runs. */
  readonly daemon?: boolean
}

/** The flag of commands that print for programs too. */
export interface JsonFlag {
  readonly json?: boolean
}

/** The flags that describe a pod. */
export interface PodFlags extends PolicyFlags {
  readonly netns?: string
  readonly pid?: number
  readonly publish?: PortMapping[]
  readonly ingress?: string
  readonly egress?: string
  readonly annotation?: (readonly [string, string])[]
  readonly allowNoAddress?: boolean
}

/** A repeatable flag, as commander wants it: each value parsed and added to those before. */
export function collect<T>(parse: (text: string) => T) {
  return (text: string, before: T[] | undefined): T[] => [...(before ?? []), parse(text)]
}

/** `[ADDRESS:]HOST:POD[/PROTOCOL]`, an IPv6 address in brackets. */
export function parsePort(text: string): PortMapping {
  const [, bracketed, plain, host, pod, protocol = 'tcp'] =
    /^(?:\[([^\]]+)\]:|([^:[\]]+):)?(\d+):(\d+)(?:\/(tcp|udp|sctp))?$/.exec(text) ?? []
  if (!host || !pod)
    throw errors.USAGE({ what: '-p', value: text, expected: '[ADDRESS:]HOST:POD[/udp], such as 8080:80' })
  const hostIP = bracketed ?? plain
  return {
    hostPort: Number(host),
    containerPort: Number(pod),
    // The expression lets these three pass alone.
    protocol: protocol as PortMapping['protocol'],
    ...(hostIP ? { hostIP } : {}),
  }
}

/** `KEY=VALUE`; the value may hold anything. */
export function parseAnnotation(text: string): readonly [string, string] {
  return parseKeyValue('--annotation', text)
}

export function parseKeyValue(what: string, text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw errors.USAGE({ what, value: text, expected: 'KEY=VALUE' })
  return [text.slice(0, at), text.slice(at + 1)]
}

export function parsePid(text: string): number {
  const pid = Number(text)
  if (!Number.isInteger(pid) || pid < 1)
    throw errors.USAGE({ what: '--pid', value: text, expected: 'the number of a process' })
  return pid
}

/** `30s` and the like, in milliseconds. */
export function parseTimeout(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined)
    throw errors.USAGE({ what: '--timeout', value: text, expected: 'a duration such as 500ms, 30s or 2m' })
  return ms
}

/** The address of a name server. */
export function parseNameServer(text: string): string {
  if (!isIP(text)) throw errors.USAGE({ what: '--dns', value: text, expected: 'an address, such as 1.1.1.1' })
  return text
}

/** Checks a rate and keeps it as it was written. */
export function parseBandwidthFlag(flag: string) {
  return (text: string): string => {
    parseBandwidth(text, flag)
    return text
  }
}

/** `NAMESPACE/NAME`; what the two may hold is the host's to say. */
export function parsePodName(text: string): { namespace: string; name: string } {
  const [namespace, name, ...rest] = text.split('/')
  if (!namespace || !name || rest.length > 0) {
    throw errors.USAGE({ what: 'pod', value: text, expected: 'NAMESPACE/NAME, such as default/web' })
  }
  return { namespace, name }
}

/** What the flags say of a pod, as a host wants it. */
export async function podOfFlags(name: { namespace: string; name: string }, flags: PodFlags) {
  const { netns, pid, publish, ingress, egress, annotation = [], allowNoAddress } = flags
  const annotations = {
    ...Object.fromEntries(annotation),
    ...(ingress === undefined ? {} : { [INGRESS_BANDWIDTH_ANNOTATION]: ingress }),
    ...(egress === undefined ? {} : { [EGRESS_BANDWIDTH_ANNOTATION]: egress }),
  }
  const policy = await policyOfFlags(flags, { ...name, annotations })
  return {
    ...name,
    ...(netns === undefined ? {} : { netns }),
    ...(pid === undefined ? {} : { pid }),
    ...(allowNoAddress ? { allowNoAddress } : {}),
    portMappings: publish ?? [],
    annotations,
    ...(policy ? { policy } : {}),
  }
}
