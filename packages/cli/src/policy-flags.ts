import { isIP } from 'node:net'
import type { Policy, PolicyRule, PolicySide } from '@podwire/api'
import { Option } from 'commander'
import { errors } from './errors.ts'
import { assertHostsMeant } from './policy-words.ts'

/** The flags by which a pod is told what it may reach. */
export interface PolicyFlags {
  readonly allow?: readonly PolicyRule[]
  readonly deny?: readonly PolicyRule[]
  /** False: given as --no-internet. */
  readonly internet?: boolean
  readonly isolated?: boolean
  /** False: given as --no-policy. */
  readonly policy?: readonly string[] | false
}

const protocolAtEnd = /\/(tcp|udp|sctp|icmp)$/

/**
 * `HOST|CIDR|ADDRESS[:PORT[-PORT]][/PROTOCOL]`, an IPv6 address with a port in brackets; `*` for everybody, `gateway` for the host,
 * `metadata` and `dns`, `pod:NAMESPACE/NAME`.
 */
export function parsePolicyFlag(flag: string) {
  return (text: string): PolicyRule => {
    const [, protocol] = protocolAtEnd.exec(text) ?? []
    const rest = text.replace(protocolAtEnd, '')
    const [, bracketed, plain, ports] =
      /^(?:\[([^\]]+)\]|([^:]+)|[^[\]]+:[^[\]]*:[^[\]]*)(?::(\d+(?:-\d+)?))?$/.exec(
        rest.startsWith('pod:') ? rest.slice(4) : rest,
      ) ?? []
    const isBareIpv6 = isIP(rest.split('/')[0] ?? '') === 6
    const peer = isBareIpv6 ? rest : (bracketed ?? plain)
    if (!peer)
      throw errors.USAGE({
        what: flag,
        value: text,
        expected:
          'HOST, CIDR or ADDRESS with [:PORT[-PORT]][/tcp|udp], such as registry.npmjs.org, 10.1.2.3:5432 or [2001:db8::1]:53/udp',
      })
    return {
      ...(rest.startsWith('pod:') ? { pod: peer } : peerOf(peer)),
      ...(ports === undefined || isBareIpv6 ? {} : { ports: [ports.includes('-') ? ports : Number(ports)] }),
      // The expression lets these alone pass.
      ...(protocol ? { protocol: protocol as NonNullable<PolicyRule['protocol']> } : {}),
    }
  }
}

function peerOf(text: string): PolicyRule {
  if (text === '*') return {}
  if (text === 'gateway') return { gateway: true }
  if (text === 'metadata' || text === 'dns') return { set: text }
  const [address = ''] = text.split('/')
  if (!isIP(address)) return { host: text }
  return { cidr: text.includes('/') ? text : `${text}/${isIP(text) === 4 ? 32 : 128}` }
}

/** A further file of `--policy`, which shares its key with `--no-policy`. */
export function collectPolicyFile(file: string, before: string[] | false | undefined): string[] {
  if (before === false) throw policyOrNone('--policy')
  return [...(before ?? []), file]
}

/** `--no-policy`. */
export function noPolicy(): Option {
  const description = 'drop the policy that the pod has; without a flag about policies it is kept'
  // A parser, though there is nothing to parse: the files of a `--policy` before it would go without a word.
  return new Option('--no-policy', description)
    .preset('')
    .argParser<string[] | false | undefined>((_, before) => {
      if (before) throw policyOrNone('--policy')
      return false
    })
}

const policyOrNone = (flag: string) =>
  errors.FLAGS_CONTRADICT({ one: '--no-policy', other: flag, why: 'the one drops what the other gives' })

/** What the flags together say; undefined where they say nothing. */
export async function policyOfFlags(
  { allow = [], deny = [], internet = true, isolated = false, policy = [] }: PolicyFlags,
  pod: { readonly namespace: string; readonly annotations: Readonly<Record<string, string>> },
): Promise<Policy | undefined> {
  const files = policy || []
  if (policy === false) {
    const given = {
      '--allow': allow.length > 0,
      '--deny': deny.length > 0,
      '--no-internet': !internet,
      '--isolated': isolated,
    }
    const other = Object.entries(given).find(([, isGiven]) => isGiven)
    if (other) throw policyOrNone(other[0])
  }
  if (isolated && !internet)
    throw errors.FLAGS_CONTRADICT({
      one: '--isolated',
      other: '--no-internet',
      why: 'the one closes other pods and the host, the other leaves them open',
    })
  await assertHostsMeant('--allow', allow)
  await assertHostsMeant('--deny', deny)
  const policies: Policy[] = []
  if (files.length > 0) {
    const { policyFromFile } = await import('@podwire/core')
    for (const file of files) policies.push(await policyFromFile(file, pod))
  }
  if (allow.length > 0) policies.push({ egress: { default: 'deny', allow } })
  if (deny.length > 0) policies.push({ egress: { default: 'allow', deny } })
  if (!internet) policies.push({ egress: { default: 'deny', allow: [{ pod: '*/*' }, { gateway: true }] } })
  if (isolated)
    policies.push({
      egress: { default: 'deny' },
      ingress: { default: 'deny', allow: [{ published: true }] },
    })
  if (policies.length === 0) return undefined
  return { ...together('egress', policies), ...together('ingress', policies) }
}

/** All that any of them allows, less all that any of them denies; what denies by default, denies all else. */
function together(direction: 'egress' | 'ingress', policies: readonly Policy[]): Policy {
  const sides = policies.flatMap((policy) => policy[direction] ?? [])
  if (sides.length === 0) return {}
  const isShut = sides.some((side) => side.default === 'deny')
  const allow = isShut ? sides.flatMap((side) => side.allow ?? []) : []
  const deny = sides.flatMap((side) => side.deny ?? [])
  const side: PolicySide = {
    default: isShut ? 'deny' : 'allow',
    ...(allow.length > 0 ? { allow } : {}),
    ...(deny.length > 0 ? { deny } : {}),
  }
  return { [direction]: side }
}
