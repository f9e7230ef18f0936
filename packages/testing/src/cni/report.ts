import type { Group } from './rules/rule.ts'
import type { Citation } from './spec/sections.ts'
import type { CniVersion } from './spec/versions.ts'
import type { Role } from './subject/profiles.ts'
import type { PluginCall } from './testbed/call.ts'

/** How it went with one rule, in one version where the rule is tried in each. */
export interface RuleResult {
  readonly rule: string
  readonly group: Group
  readonly severity: 'must' | 'should'
  readonly sentence: string
  readonly reason: string
  /** The version that it was tried in; none where no version of the plugin has the rule. */
  readonly version?: CniVersion
  /** The plugin's type, for rules of every plugin of a list. */
  readonly plugin?: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** What was seen (failed), or why it was not tried (skipped). */
  readonly why?: string
  readonly section: Citation
  /** What was done: the calls that show the failure, the last one being that which failed. */
  readonly calls?: readonly PluginCall[]
  readonly milliseconds: number
}

/** What came of all rules. */
export interface CniReport {
  readonly target: string
  readonly plugins: readonly {
    readonly type: string
    readonly program: string
    readonly role: Role
    readonly supportedVersions: readonly string[]
  }[]
  /** The versions that were tried. */
  readonly versions: readonly CniVersion[]
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly results: readonly RuleResult[]
  /** What the first attachment left for those to come, and thus isn't counted as left behind. */
  readonly shared: readonly string[]
  readonly milliseconds: number
}

/** What a command line exits with: 0 all passed, 1 something failed. Not being able to try is an error, and 2. */
export function exitCodeOf({ failed }: CniReport): 0 | 1 {
  return failed > 0 ? 1 : 0
}
