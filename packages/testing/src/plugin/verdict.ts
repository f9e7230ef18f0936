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
