import { networkInterfaces } from 'node:os'
import { type DeniedFlow, METADATA_ADDRESSES, parseCIDR, podKey } from '@podwire/api'
import type { SandboxRecord } from '@podwire/core'
import { networks } from './networks.ts'
import { addressesOf } from './pod.ts'

/** What would have let a pod do what it was denied, as `--allow` takes it. */
interface SuggestedRule {
  readonly allow: string
  /** What to know before allowing it: the end of a sentence that begins with it. */
  readonly caution?: string
}

export interface Suggestions {
  readonly suggested: readonly SuggestedRule[]
  /** What nobody should allow because a program tried it. */
  readonly notSuggested: readonly Required<SuggestedRule>[]
}

/** Who has an address. */
export interface Known {
  isHost(address: string): boolean
  /** `default/web` */
  podAt(address: string): string | undefined
}

/**
 * Of what no rule allowed, names or where they lead; what a rule or a limit denies is denied whatever is allowed. Names of hosts are the internet's: the host's
 * resolver lets them lead nowhere else.
 */
export function suggestRules(flows: readonly DeniedFlow[], known: Known): Suggestions {
  const rules = new Map<string, SuggestedRule & { readonly isRefused?: boolean }>()
  for (const flow of flows) {
    if (flow.direction !== 'egress' || (flow.rule !== 'default' && flow.rule !== 'address')) continue
    const rule = ruleFor(flow, known)
    // A name that was asked for first was not connected to yet.
    if (rule && !rules.has(rule.allow)) rules.set(rule.allow, rule)
  }
  const all = [...rules.values()]
  return {
    suggested: all.flatMap(({ isRefused = false, ...rule }) => (isRefused ? [] : [rule])),
    notSuggested: all.flatMap(({ allow, caution, isRefused = false }) =>
      isRefused && caution !== undefined ? [{ allow, caution }] : [],
    ),
  }
}

/** Whether nobody should allow an address because a program tried it. */
export const isNeverSuggested = (address: string) => kindOf(address, () => false)?.isRefused === true

function ruleFor(
  { address, port, name, protocol }: DeniedFlow,
  { isHost, podAt }: Known,
): (SuggestedRule & { readonly isRefused?: boolean }) | undefined {
  const isQuestion = protocol === 'dns'
  const hasFlag = ['tcp', 'udp', 'sctp', 'icmp'].includes(protocol)
  const traffic = isQuestion ? '' : `${port === undefined ? '' : `:${port}`}${hasFlag ? `/${protocol}` : ''}`
  // A name that leads where it must not is allowed already.
  if (name !== undefined && !(isQuestion && address !== undefined)) {
    // The pod chose it, and somebody is going to give it to a shell.
    if (!isHostName.test(name)) return undefined
    const [, pod, namespace] = podName.exec(name) ?? []
    return { allow: `${pod === undefined ? name : `pod:${namespace}/${pod}`}${traffic}` }
  }
  if (address === undefined) return undefined
  const pod = podAt(address)
  if (pod !== undefined) return { allow: `pod:${pod}${traffic}` }
  const allow = `${address.includes(':') && port !== undefined && !isQuestion ? `[${address}]` : address}${traffic}`
  const kind = kindOf(address, isHost)
  if (!isQuestion) return { allow, ...kind }
  const caution = `is where ${isHostName.test(name ?? '') ? name : 'a name'} leads, by every port of it`
  return { allow, ...kind, caution: kind ? `${caution}, and ${kind.caution}` : caution }
}

const isHostName = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i
const podName = /^(.+)\.([^.]+)\.pod$/

function kindOf(
  address: string,
  isHost: (address: string) => boolean,
): { readonly caution: string; readonly isRefused?: boolean } | undefined {
  if (METADATA_ADDRESSES.includes(address))
    return { caution: 'is where clouds tell machines their secrets', isRefused: true }
  if (isLinkLocal(address))
    return { caution: 'is an address of a single link, as those are of metadata services', isRefused: true }
  if (isLoopback(address)) return { caution: 'is the pod’s own loopback', isRefused: true }
  if (isHost(address)) return { caution: 'is this host itself' }
  return isPrivate(address)
    ? { caution: 'is a private address: see whose it is before you allow it' }
    : undefined
}

const isIn = (...cidrs: readonly string[]) => networks(cidrs.flatMap((cidr) => parseCIDR(cidr) ?? []))

const isLinkLocal = isIn('169.254.0.0/16', 'fe80::/10')
const isLoopback = isIn('127.0.0.0/8', '0.0.0.0/8', '::/127')
const isPrivate = isIn('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7')

/** @param pods those of this host */
export function knownOf(pods: readonly SandboxRecord[]): Known {
  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const own = new Set(interfaces.map(({ address }) => address))
  const byAddress = new Map(
    pods.flatMap((record) => addressesOf(record).map((address) => [address, podKey(record.pod)] as const)),
  )
  return { isHost: (address) => own.has(address), podAt: (address) => byAddress.get(address) }
}
