import type { CapabilityName } from '@podwire/api'
import type { RuleContext } from './context.ts'
import type { Group } from './group.ts'
import type { Observations } from './observations.ts'

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
  /** Resolves where the plugin keeps it; a `RuleBroken` or `RuleNotTried` is thrown otherwise. */
  try(context: RuleContext): Promise<void>
}

/** A rule that is watched while all others are tried. */
interface WatchedRule extends RuleText {
  /** What was seen that breaks it. */
  watch(observations: Observations): readonly string[]
}

export type Rule = TriedRule | WatchedRule
