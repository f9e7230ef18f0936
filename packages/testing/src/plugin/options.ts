import type { Pod } from '@podwire/api'
import type { RuleResult } from './report.ts'

/** What to test, and how. */
export interface PluginConformanceOptions {
  /** The package's directory, a path or a file URL. */
  readonly dir: string | URL
  /** The file with the plugin module as its default export. Default: what package.json's `exports` or `main` name. */
  readonly module?: string | URL
  /** The network plugin to test, where the package offers several. Default: its first. */
  readonly plugin?: string
  /** The options of a configuration, `plugins[KEY]`. Relative paths in them start at `dir`. */
  readonly options?: unknown
  /** What the test pods have besides: annotations that the plugin can't do without. */
  readonly pod?: Partial<Pick<Pod, 'annotations' | 'portMappings'>>
  /** Told to the plugin after `init`. Default: a private IPv4 network, and an IPv6 one for plugins with `dualStack`. */
  readonly podCIDR?: string
  /** IDs of the only rules to try. */
  readonly rules?: readonly string[]
  /** IDs of rules to leave out. */
  readonly skip?: readonly string[]
  /** For one call of the plugin. Milliseconds; default: 30,000. */
  readonly deadlineMs?: number
  /** For a call to end after its signal has aborted. Milliseconds; default: 5,000, as in a host. */
  readonly graceMs?: number
  /**
   * The URL of a module that exports a {@link LoadPlugin} as `loadPlugin`, which then imports the package in place of the
   * kit: how `podwire plugin test` loads it as a host does.
   */
  readonly loader?: string
  /** With a loader: whether the plugin runs in a process of its own, as in a host with `isolation`. Default: none. */
  readonly isolation?: 'none' | 'process'
  /** Told after each rule; for progress. */
  readonly onResult?: (result: RuleResult) => void
}

/** Imports the package in `dir` and returns its plugin module; rejects where a host would refuse it. */
export type LoadPlugin = (
  dir: string,
  options: { readonly isolation: 'none' | 'process' },
) => Promise<unknown>
