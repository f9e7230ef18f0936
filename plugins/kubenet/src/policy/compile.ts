import {
  METADATA_ADDRESSES,
  type PodSelector,
  type Policy,
  type PolicyRule,
  type PolicySide,
} from '@podwire/api'
import { type AddressRange, addressToNumber, type IpFamily, parseCidr } from '../ipam/cidr.ts'
import { allowedBoxes, type Box, type Matches } from './boxes.ts'
import { ALL_TRAFFIC, type Traffic, trafficOf } from './traffic.ts'

export type Direction = 'egress' | 'ingress'
export const directions = ['egress', 'ingress'] as const

/** Whom nobody knows the addresses of beforehand, with what is said of each: those of one kind and traffic together. */
export interface Group {
  readonly kind: 'pods' | 'names' | 'gateway' | 'published'
  readonly traffic: Readonly<Record<IpFamily, readonly Traffic[]>>
  readonly pods: readonly (string | PodSelector)[]
  /** Patterns of names. */
  readonly names: readonly string[]
}

/** One side of a policy, as the kernel is told it. */
export interface CompiledSide {
  /** What passes by its address. */
  readonly boxes: Readonly<Record<IpFamily, readonly Box[]>>
  /** What no rule of addresses denies; undefined: there is no such rule. What groups allow must be among it. */
  readonly undenied?: Readonly<Record<IpFamily, readonly Box[]>>
  readonly allow: readonly Group[]
  readonly deny: readonly Group[]
}

export type CompiledPolicy = Partial<Readonly<Record<Direction, CompiledSide>>>

/** @throws Error about a rule that can't be, which whoever made the policy should not have let pass */
export function compilePolicy(policy: Policy): CompiledPolicy {
  const known = compiledOf.get(policy)
  if (known) return known
  const result = compileText(policy)
  compiledOf.set(policy, result)
  return result
}

const compiledOf = new WeakMap<Policy, CompiledPolicy>()

function compileText(policy: Policy): CompiledPolicy {
  const key = JSON.stringify(policy)
  const known = compiled.get(key)
  if (known) return known
  const made: CompiledPolicy = {}
  const result = Object.assign(
    made,
    ...directions.map((direction) => {
      const side = policy[direction]
      return side ? { [direction]: compileSide(side) } : {}
    }),
  )
  // Sandboxes of one kind have one policy.
  if (compiled.size >= mostKept) compiled.clear()
  compiled.set(key, result)
  return result
}

const compiled = new Map<string, CompiledPolicy>()
const mostKept = 64

function compileSide(side: PolicySide): CompiledSide {
  const allow: readonly PolicyRule[] = side.default === 'allow' ? [{}] : (side.allow ?? [])
  const deny = side.deny ?? []
  const isOfAddresses = (rule: PolicyRule) => groupKind(rule) === undefined
  const of = (rules: readonly PolicyRule[], family: IpFamily) =>
    rules.filter(isOfAddresses).map(
      (rule): Matches => ({
        ranges: rangesOf(rule).filter((range) => range.family === family),
        traffic: trafficOf(rule, family),
      }),
    )
  const boxes = (allowed: readonly PolicyRule[]) => ({
    4: allowedBoxes(of(allowed, 4), of(deny, 4), 4),
    6: allowedBoxes(of(allowed, 6), of(deny, 6), 6),
  })
  const groups = groupsOf(allow)
  return {
    boxes: boxes(allow),
    ...(groups.length > 0 && deny.some(isOfAddresses) ? { undenied: boxes([{}]) } : {}),
    allow: groups,
    // A denied name is not resolved; its addresses may be others' too.
    deny: groupsOf(deny.filter(({ host }) => host === undefined)),
  }
}

function groupKind({ host, pod, gateway, published }: PolicyRule): Group['kind'] | undefined {
  if (host !== undefined) return 'names'
  if (pod !== undefined) return 'pods'
  if (gateway) return 'gateway'
  return published ? 'published' : undefined
}

function groupsOf(rules: readonly PolicyRule[]): Group[] {
  const groups = new Map<string, Group & { pods: (string | PodSelector)[]; names: string[] }>()
  for (const rule of rules) {
    const kind = groupKind(rule)
    if (!kind) continue
    const traffic = { 4: trafficOf(rule, 4), 6: trafficOf(rule, 6) }
    const key = `${kind} ${JSON.stringify(traffic)}`
    const group = groups.get(key) ?? { kind, traffic, pods: [], names: [] }
    groups.set(key, group)
    if (rule.pod !== undefined) group.pods.push(rule.pod)
    if (rule.host !== undefined) group.names.push(rule.host)
  }
  return [...groups.values()]
}

const EVERYBODY: readonly AddressRange[] = [parseCidr('0.0.0.0/0')!, parseCidr('::/0')!]

function rangesOf({ cidr, except = [], set }: PolicyRule): readonly AddressRange[] {
  if (set === 'metadata')
    return METADATA_ADDRESSES.map((address) => {
      const value = addressToNumber(address)
      return { family: address.includes(':') ? 6 : 4, first: value, last: value }
    })
  if (cidr === undefined) return EVERYBODY
  const holes = except.map((hole) => rangeOf(hole))
  const range = rangeOf(cidr)
  if (holes.length === 0) return [range]
  const boxes = allowedBoxes(
    [{ ranges: [range], traffic: [ALL_TRAFFIC] }],
    [{ ranges: holes, traffic: [ALL_TRAFFIC] }],
    range.family,
  )
  return boxes.map(({ first, last }) => ({ family: range.family, first, last }))
}

function rangeOf(text: string): AddressRange {
  const range = parseCidr(text)
  if (!range) throw new Error(`${JSON.stringify(text)} is not a CIDR`)
  return range
}
