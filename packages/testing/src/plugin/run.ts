import { errors } from '../errors.ts'
import { assertCanIsolate } from '../isolation.ts'
import type { Observations } from './observations.ts'
import type { PluginConformanceOptions } from './options.ts'
import type { PluginReport, RuleResult } from './report.ts'
import type { Rule } from './rule.ts'
import { pluginRules } from './rules/index.ts'
import { nodeArgumentsFor, readTarget } from './target.ts'
import { runWorker, type TrialResult } from './worker-process.ts'

/** After so many processes that the plugin ended or held, another tells nothing new. */
const patience = 3

/**
 * Tries the rules of the contract on a network plugin, in a process and namespaces of its own: whatever the plugin does
 * to the network, the file system under /run and /var/lib, or its process, it doesn't do to this one.
 * @throws PodwireError with `exitCode` 2 where nothing could be tried
 */
export async function runPluginConformance(options: PluginConformanceOptions): Promise<PluginReport> {
  const started = performance.now()
  const rules = selectRules(options)
  const target = await readTarget(options)
  const nodeArguments = nodeArgumentsFor(target)
  await assertCanIsolate()

  const results: RuleResult[] = []
  const add = (rule: Rule, trial: Omit<TrialResult, 'rule'>) => {
    const { id, group, sentence, reason } = rule
    const { outcome, did, milliseconds, seen } = trial
    const result = {
      rule: id,
      group,
      sentence,
      reason,
      outcome,
      did,
      milliseconds,
      ...(seen ? { seen } : {}),
    }
    results.push(result)
    options.onResult?.(result)
  }
  const observed = { stdout: [], exits: [], uncaught: [], notErrors: [] } as Record<
    keyof Observations,
    string[]
  >
  const observe = (observations: Partial<Observations>) => {
    for (const [kind, seen] of Object.entries(observations))
      observed[kind as keyof Observations].push(...seen)
  }

  // What is watched needs something to be tried meanwhile.
  const isWatchedAlone = rules.every((rule) => 'watch' in rule)
  const tried = pluginRules.filter((rule) => 'try' in rule && (isWatchedAlone || rules.includes(rule)))
  const queue = [...tried]
  let lost = 0
  while (queue.length > 0 && lost < patience) {
    const order = { target, rules: queue.map(({ id }) => id) }
    const onResult = (trial: TrialResult) => {
      const index = queue.findIndex(({ id }) => id === trial.rule)
      for (const rule of queue.splice(0, index + 1).slice(-1)) if (rules.includes(rule)) add(rule, trial)
    }
    if (await runWorker(order, nodeArguments, { onResult, onObserved: observe })) lost++
  }
  for (const rule of queue) {
    if (!rules.includes(rule)) continue
    add(rule, {
      outcome: 'skipped',
      did: [],
      milliseconds: 0,
      seen: `the plugin ended or held its process ${lost} times`,
    })
  }
  for (const rule of rules) if ('watch' in rule) add(rule, judge(rule.watch(observed)))

  const count = (outcome: RuleResult['outcome']) =>
    results.filter((result) => result.outcome === outcome).length
  const { name, version } = target.packageJson
  return {
    packageName: String(name),
    version: String(version),
    dir: target.dir,
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped'),
    results,
    milliseconds: Math.round(performance.now() - started),
  }
}

/**
 * The rules that options choose.
 * @throws PodwireError `UNKNOWN_RULE`
 */
export function selectRules({
  rules: only,
  skip = [],
}: Pick<PluginConformanceOptions, 'rules' | 'skip'>): Rule[] {
  const known = pluginRules.map(({ id }) => id)
  for (const rule of [...(only ?? []), ...skip])
    if (!known.includes(rule)) throw errors.UNKNOWN_RULE({ rule, known })
  return pluginRules.filter(({ id }) => (only?.includes(id) ?? true) && !skip.includes(id))
}

function judge(seen: readonly string[]): Omit<TrialResult, 'rule'> {
  const did = ['watched during all of the above']
  if (seen.length === 0) return { outcome: 'passed', did, milliseconds: 0 }
  const shown = [...new Set(seen)]
  const more = shown.length > 3 ? `; and ${shown.length - 3} more` : ''
  return { outcome: 'failed', did, milliseconds: 0, seen: shown.slice(0, 3).join('; ') + more }
}
