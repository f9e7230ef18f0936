import type { JsonObject } from '../kernel-state/json.ts'
import type { Observations } from './observations.ts'
import type { PluginConformanceOptions } from './options.ts'
import type { RuleResult } from './report.ts'

/** What is tested, as it travels to the processes that test it. */
export interface Target
  extends Required<Pick<PluginConformanceOptions, 'deadlineMs' | 'graceMs' | 'isolation'>>,
    Pick<PluginConformanceOptions, 'options' | 'plugin' | 'pod' | 'podCIDR' | 'loader'> {
  readonly dir: string
  /** The URL of the module to import; absent with a loader. */
  readonly module?: string
  readonly packageJson: JsonObject
  readonly stateDir: string
}

/** To the process that tries the rules. */
export interface WorkerOrder {
  readonly target: Target
  readonly rules: readonly string[]
}

/** From it. */
export type WorkerMessage =
  | { readonly kind: 'began'; readonly rule: string }
  | { readonly kind: 'did'; readonly step: string }
  | { readonly kind: 'ended'; readonly result: Pick<RuleResult, 'rule' | 'outcome' | 'seen'> }
  | { readonly kind: 'observed'; readonly observations: Observations }
