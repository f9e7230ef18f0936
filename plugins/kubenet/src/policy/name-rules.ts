import type { Policy } from '@podwire/api'
import type { CompiledSide } from './compile.ts'
import { createNameMatcher, parseNamePattern } from './names/matcher.ts'

/** What a policy says of names of hosts. */
export interface NameRules {
  /** The groups that have the name, by where they stand among what the egress allows. */
  readonly groups: (name: string) => readonly number[]
  /** The rules that deny it, by where they stand in the policy. */
  readonly denied: (name: string) => readonly number[]
}

/** Pods of one policy share it. */
export function namesOf(
  { egress: { deny = [] } = { default: 'deny' } }: Policy,
  egress: CompiledSide,
): NameRules {
  const known = namesOfSides.get(egress)
  if (known) return known
  const names: NameRules = {
    groups: matcherOf(
      egress.allow.flatMap(({ names }, index) => names.map((name) => [name, index] as const)),
    ),
    denied: matcherOf(
      deny.flatMap(({ host }, index) => (host === undefined ? [] : [[host, index] as const])),
    ),
  }
  namesOfSides.set(egress, names)
  return names
}

const namesOfSides = new WeakMap<CompiledSide, NameRules>()

/** The host has checked the names. */
function matcherOf<T>(entries: readonly (readonly [string, T])[]) {
  return createNameMatcher(
    entries.flatMap(([name, value]) => {
      const pattern = parseNamePattern(name)
      return 'problem' in pattern ? [] : [[pattern, value] as const]
    }),
  )
}
