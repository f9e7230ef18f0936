import type { PodSelector, Policy, PolicyRule, PolicySide } from '@podwire/api'
import { once } from '@podwire/api'
import * as z from 'zod/mini'
import { firstIssue } from '../zod-issue.ts'

/** Whom a policy is for. */
export interface LabelledPod {
  readonly namespace: string
  /** They stand for Kubernetes' labels. */
  readonly annotations: Readonly<Record<string, string>>
}

type Selector = z.output<ReturnType<typeof schema>>['spec']['podSelector']

const schema = once(() => {
  const labels = z.record(z.string(), z.string())
  const selector = z.strictObject({
    matchLabels: z.optional(labels),
    matchExpressions: z.optional(
      z.array(
        z.strictObject({
          key: z.string(),
          operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
          values: z.optional(z.array(z.string())),
        }),
      ),
    ),
  })
  const peer = z.strictObject({
    ipBlock: z.optional(z.strictObject({ cidr: z.string(), except: z.optional(z.array(z.string())) })),
    podSelector: z.optional(selector),
    namespaceSelector: z.optional(selector),
  })
  const ports = z.optional(
    z.nullable(
      z.array(
        z.strictObject({
          port: z.optional(z.union([z.number(), z.string()])),
          endPort: z.optional(z.number()),
          protocol: z.optional(z.enum(['TCP', 'UDP', 'SCTP'])),
        }),
      ),
    ),
  )
  const peers = z.optional(z.nullable(z.array(peer)))
  return z.object({
    kind: z.literal('NetworkPolicy'),
    apiVersion: z.literal('networking.k8s.io/v1'),
    metadata: z.optional(z.object({ name: z.optional(z.string()), namespace: z.optional(z.string()) })),
    spec: z.strictObject({
      podSelector: selector,
      policyTypes: z.optional(z.array(z.enum(['Ingress', 'Egress']))),
      ingress: z.optional(z.nullable(z.array(z.strictObject({ from: peers, ports })))),
      egress: z.optional(z.nullable(z.array(z.strictObject({ to: peers, ports })))),
    }),
  })
})

type NetworkPolicy = z.output<ReturnType<typeof schema>>
type Peer = NonNullable<NonNullable<NonNullable<NetworkPolicy['spec']['ingress']>[number]['from']>>[number]
type Port = NonNullable<NonNullable<NonNullable<NetworkPolicy['spec']['ingress']>[number]['ports']>>[number]

export const isNetworkPolicy = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'NetworkPolicy'

/**
 * What Kubernetes' NetworkPolicy objects together mean for a pod; a string says what in them can't be had here. The node, which
 * is the host, is always allowed. Source: kubernetes.io, Network Policies; networking.k8s.io/v1.
 */
export function policyOfKubernetes(documents: readonly unknown[], pod: LabelledPod): Policy | string {
  const policies: NetworkPolicy[] = []
  for (const document of documents) {
    const parsed = schema().safeParse(document, { reportInput: true })
    if (!parsed.success) return firstIssue(parsed.error, 'the NetworkPolicy')
    policies.push(parsed.data)
  }
  try {
    const own = policies.filter((policy) => selects(policy, pod))
    if (own.length === 0)
      return `no NetworkPolicy in it selects a pod of namespace ${pod.namespace} with these annotations`
    return { ...sideOf(own, 'ingress', pod), ...sideOf(own, 'egress', pod) }
  } catch (error) {
    if (error instanceof Inexpressible) return error.message
    throw error
  }
}

/** What there is in Kubernetes and isn't here. */
class Inexpressible extends Error {}

function selects({ metadata, spec }: NetworkPolicy, { namespace, annotations }: LabelledPod): boolean {
  const { matchLabels = {}, matchExpressions = [] } = spec.podSelector
  return (
    (metadata?.namespace ?? namespace) === namespace &&
    Object.entries(matchLabels).every(([key, value]) => annotations[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = annotations[key]
      if (operator === 'Exists') return value !== undefined
      if (operator === 'DoesNotExist') return value === undefined
      return (value !== undefined && values.includes(value)) === (operator === 'In')
    })
  )
}

function sideOf(policies: readonly NetworkPolicy[], side: 'ingress' | 'egress', pod: LabelledPod): Policy {
  const type = side === 'ingress' ? 'Ingress' : 'Egress'
  const concerned = policies.filter(({ spec }) =>
    // Every policy is about what comes in, unless it says otherwise.
    spec.policyTypes ? spec.policyTypes.includes(type) : side === 'ingress' || Boolean(spec.egress),
  )
  if (concerned.length === 0) return {}
  const allow = concerned.flatMap(({ spec, metadata }) =>
    (spec[side] ?? []).flatMap((rule) => {
      const peers = ('from' in rule ? rule.from : 'to' in rule ? rule.to : undefined) ?? []
      const namespace = metadata?.namespace ?? pod.namespace
      return combine(peersOf(peers, namespace), trafficOf(rule.ports ?? []))
    }),
  )
  const deny: PolicySide = { default: 'deny', allow: [{ gateway: true }, ...allow] }
  return side === 'ingress' ? { ingress: deny } : { egress: deny }
}

const combine = (peers: readonly object[], traffic: readonly object[]): PolicyRule[] =>
  peers.flatMap((peer) => traffic.map((one) => ({ ...peer, ...one }) as PolicyRule)) // a peer and traffic are a rule

function trafficOf(ports: readonly Port[]): object[] {
  if (ports.length === 0) return [{}]
  return ports.map(({ port, endPort, protocol = 'TCP' }) => {
    if (typeof port === 'string' && !/^\d+$/.test(port))
      throw new Inexpressible(`port "${port}" is a name, which no container here declares; write its number`)
    const range =
      port === undefined ? {} : { ports: [endPort === undefined ? Number(port) : `${port}-${endPort}`] }
    return { ...range, protocol: protocol.toLowerCase() }
  })
}

function peersOf(peers: readonly Peer[], namespace: string): object[] {
  if (peers.length === 0) return [{}]
  return peers.flatMap(({ ipBlock, podSelector, namespaceSelector }): object[] => {
    if (ipBlock) {
      if (podSelector || namespaceSelector) throw new Inexpressible('an ipBlock stands beside a selector')
      return [{ cidr: ipBlock.cidr, ...(ipBlock.except ? { except: ipBlock.except } : {}) }]
    }
    if (!podSelector && !namespaceSelector) throw new Inexpressible('a peer selects nothing')
    const namespaces = namespaceSelector ? namespacesOf(namespaceSelector) : [namespace]
    return namespaces.flatMap((name) =>
      labelsOf(podSelector ?? {}).map((annotations): { pod: PodSelector } => ({
        pod: {
          ...(name === undefined ? {} : { namespace: name }),
          ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
        },
      })),
    )
  })
}

// Kubernetes gives every namespace a label with its name. Namespaces have no others here.
const NAME_LABEL = 'kubernetes.io/metadata.name'

/** Names; undefined is any. */
function namespacesOf(selector: Selector): (string | undefined)[] {
  return labelsOf(selector).map((labels) => {
    const other = Object.keys(labels).find((key) => key !== NAME_LABEL)
    if (other !== undefined)
      throw new Inexpressible(`namespaces have no label "${other}" here: select them by ${NAME_LABEL}`)
    return labels[NAME_LABEL]
  })
}

/** The sets of labels, of which one must be there. */
function labelsOf({ matchLabels = {}, matchExpressions = [] }: Selector): Record<string, string>[] {
  let all: Record<string, string>[] = [matchLabels]
  for (const { key, operator, values = [] } of matchExpressions) {
    if (operator !== 'In')
      throw new Inexpressible(
        `matchExpressions with ${operator} select pods that can't be named here; use In, or matchLabels`,
      )
    all = all.flatMap((labels) =>
      values
        .filter((value) => labels[key] === undefined || labels[key] === value)
        .map((value) => ({ ...labels, [key]: value })),
    )
  }
  return all
}
