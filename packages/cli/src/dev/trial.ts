/** What became of one pod, set up and torn down with the plugin as it was saved. */
export type Trial =
  | {
      readonly ok: true
      readonly plugin: string
      readonly capabilities: readonly string[]
      readonly ips: readonly string[]
      /** What `ip -brief address` shows in the pod. */
      readonly interfaces: readonly string[]
      readonly setUpMs: number
      readonly tearDownMs: number
    }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** An error, and where in the package it came from. */
export interface Problem {
  readonly message: string
  /** `src/plugin.ts:12:5`, relative to the package. */
  readonly positions: readonly string[]
}
