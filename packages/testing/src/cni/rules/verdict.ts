import type { PluginCall } from '../testbed/call.ts'

/** The plugin doesn't keep the rule. */
export class RuleBroken extends Error {
  readonly calls: readonly PluginCall[]

  /** @param seen what was seen, a sentence's end */
  constructor(seen: string, calls: readonly PluginCall[]) {
    super(seen)
    this.calls = calls
  }
}

/** The rule can't be tried on this plugin, or not now. */
export class RuleNotTried extends Error {}

/** Breaks the rule: what was seen, and the calls that show it. */
export function broken(seen: string, ...calls: readonly PluginCall[]): never {
  throw new RuleBroken(seen, calls)
}

/** Gives up: why. */
export function notTried(why: string): never {
  throw new RuleNotTried(why)
}
