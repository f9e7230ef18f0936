import { formatFailure } from './format.ts'
import type { PluginConformanceOptions } from './options.ts'
import type { RuleResult } from './report.ts'
import { runPluginConformance, selectRules } from './run.ts'

/** What a test gets: vitest's and node:test's can both skip it. */
export interface TestContext {
  skip(why?: string): void
}

/** `describe` and `test` of vitest, or of node:test. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  test(name: string, options: { timeout: number }, body: (context: TestContext) => Promise<void>): unknown
}

/**
 * A test for each rule of the contract: `describeNetworkPlugin({ dir: new URL('..', import.meta.url) }, { describe, test })`.
 * The plugin runs in a process and namespaces of its own, started with the first test.
 */
export function describeNetworkPlugin(
  options: PluginConformanceOptions,
  { describe, test }: TestRunner,
): void {
  const rules = selectRules(options)
  const { deadlineMs = 30_000, graceMs = 5_000 } = options
  const results = resultsOf(options)
  describe('a network plugin', () => {
    for (const { id, sentence } of rules) {
      test(`${id}: ${sentence}`, { timeout: 4 * (deadlineMs + graceMs) }, async (context) => {
        const result = await results(id)
        if (result.outcome === 'skipped') context.skip(result.seen)
        if (result.outcome === 'failed') throw new Error(`the rule is broken\n${formatFailure(result)}`)
      })
    }
  })
}

/** Runs all rules when the first result is asked for; each is there as soon as its rule has ended. */
function resultsOf(options: PluginConformanceOptions): (rule: string) => Promise<RuleResult> {
  const ended = new Map<string, RuleResult>()
  const waiting = new Map<string, (result: RuleResult) => void>()
  let run: Promise<unknown> | undefined
  const start = () =>
    runPluginConformance({
      ...options,
      onResult: (result) => {
        ended.set(result.rule, result)
        waiting.get(result.rule)?.(result)
        options.onResult?.(result)
      },
    })
  return (rule) =>
    new Promise((resolve, reject) => {
      run ??= start()
      run.catch(reject)
      const result = ended.get(rule)
      if (result) resolve(result)
      else waiting.set(rule, resolve)
    })
}
