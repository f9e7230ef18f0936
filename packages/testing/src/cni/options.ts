import type { RuleResult } from './report.ts'
import type { CniVersion } from './spec/versions.ts'
import type { SubjectOptions } from './subject/subject.ts'

/** What to test, and how. */
export interface CniConformanceOptions extends SubjectOptions {
  /** IDs of the only rules to try. */
  readonly rules?: readonly string[]
  /** IDs of rules to leave out. */
  readonly skip?: readonly string[]
  /** Default: every version that plugin, configuration and kit know. */
  readonly versions?: readonly CniVersion[]
  /** Milliseconds for one call. Default: 30,000. */
  readonly deadline?: number
  /** Told after each rule; for progress. */
  readonly onResult?: (result: RuleResult) => void
}
