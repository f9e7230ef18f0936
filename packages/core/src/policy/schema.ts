import type { Policy, PolicyRule, PolicySetName, PolicySide } from '@podwire/api'
import { once, parseCIDR } from '@podwire/api'
import * as z from 'zod/mini'
import {
  hostProblem,
  isPodName,
  isPodPattern,
  networkProblem,
  podsNamed,
  portsProblem,
} from './rule-problems.ts'

const describe = (description: string) => z.meta({ description })

/** A check that says what is wrong by itself: `problem` returns undefined for what is right. */
const unless = <T>(problem: (value: T) => string | undefined) =>
  z.refine<T>((value) => problem(value) === undefined, { error: ({ input }) => problem(input as T) }) // the refined type's own

const peers = ['host', 'cidr', 'pod', 'gateway', 'published', 'set'] as const

/** A policy as a user writes it, in the configuration or for a pod. */
export const policySchema = once(() => {
  const host = z
    .string()
    .check(
      unless(hostProblem),
      describe(
        'By name, of egress alone: registry.npmjs.org, or *.npmjs.org for all names below that one. web.default.pod and *.default.pod are the same as pod.',
      ),
    )
  const pod = z
    .union(
      [
        z.string().check(unless(isPodPattern)),
        z.strictObject({
          namespace: z.optional(z.string()),
          annotations: z.optional(z.record(z.string(), z.string())),
        }),
      ],
      {
        error:
          'expected NAMESPACE/NAME, * for any, such as "default/web" or "default/*"; or { namespace, annotations }',
      },
    )
    .check(describe('Pods: NAMESPACE/NAME, * for any; or all that agree with a namespace and annotations.'))
  const rule = z
    .strictObject({
      host: z.optional(host),
      cidr: z.optional(z.string().check(describe('Addresses, such as 10.1.0.0/16.'))),
      except: z.optional(z.array(z.string()).check(describe('What of the CIDR the rule is not about.'))),
      pod: z.optional(pod),
      gateway: z.optional(z.literal(true).check(describe('The host itself, by any of its addresses.'))),
      published: z.optional(
        z.literal(true).check(describe('Of ingress alone: who comes by a port that the pod publishes.')),
      ),
      set: z.optional(
        z
          .enum(['dns', 'metadata'])
          .check(describe('dns: port 53 of everybody. metadata: where clouds tell machines their secrets.')),
      ),
      ports: z.optional(
        z
          .array(z.union([z.number(), z.string()]))
          .check(
            unless(portsProblem),
            describe('Ports of whoever is connected to, such as 443 or "8000-8100".'),
          ),
      ),
      protocol: z.optional(
        z
          .enum(['tcp', 'udp', 'sctp', 'icmp'])
          .check(describe('Default: all of them; with ports TCP and UDP.')),
      ),
    })
    .check(unless(ruleProblem))
  const rules = (description: string) => z.optional(z.array(rule).check(describe(description)))
  const side = (description: string) =>
    z
      .strictObject({
        default: z.enum(['allow', 'deny']).check(describe('What holds for all that no rule is about.')),
        allow: rules('What is allowed where the default is to deny.'),
        deny: rules('What is denied, whatever else is allowed.'),
      })
      .check(unless(sideProblem), describe(description))
  return z
    .strictObject({
      egress: z.optional(side('What pods may reach.')),
      ingress: z.optional(side('Who may reach pods.').check(unless(ingressProblem))),
    })
    .check(unless(egressProblem))
})

/** As the schema lets it pass: absent keys may be there, and undefined. */
interface WrittenRule {
  host?: string | undefined
  cidr?: string | undefined
  except?: string[] | undefined
  pod?: string | object | undefined
  gateway?: true | undefined
  published?: true | undefined
  set?: PolicySetName | undefined
  ports?: (number | string)[] | undefined
  protocol?: PolicyRule['protocol'] | undefined
}

interface WrittenSide {
  default: 'allow' | 'deny'
  allow?: WrittenRule[] | undefined
  deny?: WrittenRule[] | undefined
}

interface Written {
  egress?: WrittenSide | undefined
  ingress?: WrittenSide | undefined
}

function ruleProblem(rule: WrittenRule): string | undefined {
  const named = peers.filter((peer) => rule[peer] !== undefined)
  if (named.length > 1) return `expected one of ${peers.join(', ')}, not ${named.join(' and ')} at once`
  if (rule.except && rule.cidr === undefined) return 'expected a cidr beside except'
  if (rule.ports && rule.protocol === 'icmp') return 'expected no ports with protocol icmp, which has none'
  if (rule.set === 'dns' && (rule.ports || rule.protocol))
    return 'expected no ports and no protocol beside set dns, which is port 53 of TCP and UDP'
  return rule.cidr === undefined ? undefined : networkProblem(rule.cidr, rule.except)
}

function sideProblem({ default: otherwise, allow = [], deny = [] }: WrittenSide): string | undefined {
  const isOpen = otherwise === 'allow'
  if (isOpen && allow.length > 0)
    return 'expected no allow rules where the default is to allow, as they would change nothing; set default to "deny", or leave them out'
  if (!deny.some(isByName) || !(isOpen || allow.some(isAboutEverybody))) return undefined
  const where = isOpen ? 'the default is to allow' : 'everybody is allowed'
  return `expected no names in deny where ${where}, as the same servers are reached by their addresses; set default to "deny" and allow what may be reached`
}

/** Whether any server is reached by its address, by some of its ports at least. */
function isAboutEverybody(rule: WrittenRule): boolean {
  if (rule.cidr !== undefined) return parseCIDR(rule.cidr)?.prefixLength === 0
  return peers.every((peer) => rule[peer] === undefined)
}

/** Pods are known by more than their names. */
const isByName = ({ host }: WrittenRule) => host !== undefined && !isPodName(host)

const rulesOf = (side: WrittenSide | undefined) => [...(side?.allow ?? []), ...(side?.deny ?? [])]

const ingressProblem = (side: WrittenSide) =>
  rulesOf(side).some(isByName)
    ? 'expected no host in ingress: who comes has an address alone; use cidr'
    : undefined

const egressProblem = ({ egress }: Written) =>
  rulesOf(egress).some(({ published }) => published !== undefined)
    ? 'expected no published in egress: it is about who comes by a published port'
    : undefined

/** The keys that may stand at a path inside a policy, for errors about others. */
export function policyKeysAt(path: readonly PropertyKey[]): string[] {
  const side = policySchema().shape.egress.def.innerType.shape
  if (path.length === 0) return Object.keys(policySchema().shape)
  if (path.length === 1) return Object.keys(side)
  if (path.includes('pod')) return ['namespace', 'annotations']
  return Object.keys(side.allow.def.innerType.def.element.shape)
}

/** The same policy, as it is compared and kept: names in lower case, without a dot at the end; pods by name as pods; no key that says nothing. */
export function normalisePolicy(written: Written): Policy {
  const normaliseRule = ({ host, ...rule }: WrittenRule): PolicyRule =>
    withoutAbsent({ ...rule, ...(host === undefined ? {} : named(host)) }) as PolicyRule // one peer at most, as the schema says
  const side = (written: WrittenSide | undefined): PolicySide | undefined =>
    written && {
      default: written.default,
      ...(written.allow?.length ? { allow: written.allow.map(normaliseRule) } : {}),
      ...(written.deny?.length ? { deny: written.deny.map(normaliseRule) } : {}),
    }
  return withoutAbsent({ egress: side(written.egress), ingress: side(written.ingress) }) as Policy // absent sides are left out
}

function named(host: string): PolicyRule {
  const pod = podsNamed(host)
  return pod === undefined ? { host: host.toLowerCase().replace(/\.$/, '') } : { pod }
}

const withoutAbsent = (object: object) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
