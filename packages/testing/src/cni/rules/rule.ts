import type { Section } from '../spec/sections.ts'
import type { CniVersion } from '../spec/versions.ts'
import type { Role } from '../subject/profiles.ts'
import type { RuleContext } from './context.ts'

/** What a rule is about. */
export type Group =
  | 'version'
  | 'environment'
  | 'configuration'
  | 'errors'
  | 'add'
  | 'result'
  | 'del'
  | 'check'
  | 'concurrency'
  | 'crash'
  | 'delegation'
  | 'gc'
  | 'status'

/** Something that the spec demands of a plugin, and how to find out whether one does it. */
export interface Rule {
  /** Stable: `cni-del-twice`. */
  readonly id: string
  readonly group: Group
  /** The spec's own word. */
  readonly severity: 'must' | 'should'
  /** What a plugin does that keeps it. */
  readonly sentence: string
  /** What goes wrong where a plugin doesn't. */
  readonly reason: string
  readonly section: Section
  /** The first version that demands it. Default: 0.3.1. */
  readonly since?: CniVersion
  /** The last one. */
  readonly until?: CniVersion
  /** Tried in every version, rather than in the highest. */
  readonly eachVersion?: true
  /** Tried for every plugin of a list, rather than once for the list. */
  readonly eachPlugin?: true
  /** The roles that it is for. Default: all. */
  readonly roles?: readonly Role[]
  /** Not for plugins like loopback, whose interface is always there. */
  readonly ownInterface?: true
  /** Tries it; a `RuleBroken` or `RuleNotTried` is thrown otherwise. */
  try(context: RuleContext): Promise<void>
}
