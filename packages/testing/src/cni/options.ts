import type { Role } from './profiles.ts'
import type { CniVersion } from './versions.ts'

/** What to test, and how. */
export interface CniConformanceOptions {
  /** A plugin's executable, or a file (.conflist, .conf, .json) with a network configuration. */
  readonly target: string
  /** A file with the configuration of the executable, where the kit has none for its type. */
  readonly config?: string
  /** What the (first) plugin is for. Default: known for usual plugins, else `interface`. */
  readonly role?: Role
  /** CNI_IFNAME. Default: `eth0`. */
  readonly ifName?: string
  /** Where plugins are found. Default: beside the executable, CNI_PATH, and the usual directories. */
  readonly cniPath?: readonly string[]
  /** Shell commands for the host, run before each rule in its namespaces: a link or a daemon that the plugin needs. */
  readonly prepare?: readonly string[]
  /** IDs of the only rules to try. */
  readonly rules?: readonly string[]
  /** IDs of rules to leave out. */
  readonly skip?: readonly string[]
  /** Default: every version that plugin, configuration and kit know. */
  readonly versions?: readonly CniVersion[]
  /** Milliseconds for one call. Default: 30,000. */
  readonly deadline?: number
  /** Told after each rule; for progress. */
  readonly onResult?: (result: import('./report.ts').RuleResult) => void
}
