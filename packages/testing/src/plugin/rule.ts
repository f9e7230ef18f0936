import type { CapabilityName } from '@podwire/api'
import type { RuleContext } from './context.ts'
import type { Observations } from './observations.ts'

/** What a rule is about. */
export type Group =
  | 'package'
  | 'options'
  | 'init'
  | 'capabilities'
  | 'pods'
  | 'status'
  | 'changes'
  | 'concurrency'
  | 'abort'
  | 'errors'
  | 'events'
  | 'check'
  | 'garbage'
  | 'restart'
  | 'leaks'
  | 'process'

interface RuleText {
  /** Stable: `tear-down-twice`. */
  readonly id: string
  readonly group: Group
  /** What a plugin does that keeps it. */
  readonly sentence: string
  /** What goes wrong where a plugin doesn't. */
  readonly reason: string
}

/** A rule that is found out by trying. */
interface TriedRule extends RuleText {
  /** Only for plugins that announce it. */
  readonly needs?: CapabilityName
  /** Resolves where the plugin keeps it; a {@link RuleBroken} or {@link RuleNotTried} is thrown otherwise. */
  try(context: RuleContext): Promise<void>
}

/** A rule that is watched while all others are tried. */
interface WatchedRule extends RuleText {
  /** What was seen that breaks it. */
  watch(observations: Observations): readonly string[]
}

export type Rule = TriedRule | WatchedRule

/** The plugin doesn't keep the rule; the message says what was seen. */
export class RuleBroken extends Error {}

/** The rule can't be tried on this plugin; the message says why. */
export class RuleNotTried extends Error {}

/** Breaks the rule: what was seen. */
export function broken(seen: string): never {
  throw new RuleBroken(seen)
}

/** Gives up: why. */
export function notTried(why: string): never {
  throw new RuleNotTried(why)
}
