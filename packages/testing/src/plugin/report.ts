import type { Group } from './group.ts'

/** How it went with one rule. */
export interface RuleResult {
  readonly rule: string
  readonly group: Group
  readonly sentence: string
  readonly reason: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** What was done, step by step. */
  readonly did: readonly string[]
  /** What was seen (failed), or why it was not tried (skipped). */
  readonly seen?: string
  readonly milliseconds: number
}

/** What came of all rules. Plain data: this is what `--json` prints. */
export interface PluginReport {
  readonly packageName: string
  readonly version: string
  readonly dir: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly results: readonly RuleResult[]
  readonly milliseconds: number
}

/** What a command line exits with: 0 nothing failed, 1 something did. Not being able to try is an error, and 2. */
export function exitCodeOf({ failed }: PluginReport): 0 | 1 {
  return failed > 0 ? 1 : 0
}
