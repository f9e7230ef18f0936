import { messageOf } from '@podwire/api'
import { isObject, tryParse } from '../kernel-state/json.ts'
import { compareStates } from '../kernel-state/state.ts'
import type { CniConformanceOptions } from './options.ts'
import type { CniReport, RuleResult } from './report.ts'
import { createContext } from './rules/context.ts'
import { cniRules } from './rules/index.ts'
import type { Rule } from './rules/rule.ts'
import { RuleBroken, RuleNotTried } from './rules/verdict.ts'
import { cite } from './spec/sections.ts'
import { atLeast, type CniVersion, cniVersions } from './spec/versions.ts'
import { errors } from './subject/errors.ts'
import { type Plugin, readSubject, type Subject } from './subject/subject.ts'
import type { PluginCall } from './testbed/call.ts'
import { callPlugin } from './testbed/call.ts'
import { openTestbed, type Testbed } from './testbed/testbed.ts'

const defaultDeadline = 30_000

/** After so many calls that had to be killed for being late, waiting for more tells nothing new. */
const patienceWithHanging = 2

/** What all rules are tried on. */
interface Run {
  readonly subject: Subject
  readonly versions: readonly CniVersion[]
  readonly deadline: number
  late: number
}

/** A rule with the version and plugin that it is tried on; without a version where there is nothing to try. */
interface Trial {
  readonly rule: Rule
  readonly plugin: Plugin
  readonly version?: CniVersion
}

/**
 * Tries the rules of the CNI spec on a plugin or a list of plugins, each in namespaces of its own.
 * @throws PodwireError with `exitCode` 2 where nothing could be tried
 */
export async function runCniConformance(options: CniConformanceOptions): Promise<CniReport> {
  const start = performance.now()
  const rules = selectRules(options)
  const subject = await readSubject(options)
  const deadline = options.deadline ?? defaultDeadline
  const supported = await askVersions(subject, deadline)
  const versions = selectVersions(options, subject, supported)
  const run: Run = { subject, versions, deadline, late: 0 }
  const results: RuleResult[] = []
  for (const trial of rules.flatMap((rule) => trialsOf(rule, subject, versions))) {
    const result = await tryRule(run, trial)
    results.push(result)
    options.onResult?.(result)
  }
  const count = (outcome: RuleResult['outcome']) =>
    results.filter((result) => result.outcome === outcome).length
  return {
    target: options.target,
    plugins: subject.plugins.map(({ type, program, role }) => ({
      type,
      program,
      role,
      supportedVersions: supported.get(program) ?? [],
    })),
    versions,
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped'),
    results,
    // It explains what the rules about leftovers don't count.
    shared:
      rules.some(({ id }) => id === 'cni-del-leaves-nothing') && run.late === 0 ? await findShared(run) : [],
    milliseconds: Math.round(performance.now() - start),
  }
}

function selectRules({ rules: only, skip = [] }: CniConformanceOptions): Rule[] {
  const known = cniRules.map(({ id }) => id)
  for (const value of [...(only ?? []), ...skip])
    if (!known.includes(value)) throw errors.CNI_TEST_OPTION({ what: 'rule', value, known })
  return cniRules.filter(({ id }) => (only?.includes(id) ?? true) && !skip.includes(id))
}

function selectVersions(
  { versions: only }: CniConformanceOptions,
  { configVersions }: Subject,
  supported: ReadonlyMap<string, readonly string[]>,
): CniVersion[] {
  const spoken = cniVersions.filter((version) =>
    // What doesn't answer is tried in all: the rules say what is wrong with it.
    [...supported.values()].every((list) => list.length === 0 || list.includes(version)),
  )
  const wanted = cniVersions.filter(
    (version) =>
      (only?.includes(version) ?? true) && (configVersions.length === 0 || configVersions.includes(version)),
  )
  const both = wanted.filter((version) => spoken.includes(version))
  // A plugin that speaks none of them must at least say so.
  const versions = both.length > 0 ? both : wanted
  if (versions.length === 0)
    throw errors.CNI_TEST_NO_VERSION({ versions: configVersions, known: cniVersions })
  return versions
}

function trialsOf(rule: Rule, subject: Subject, versions: readonly CniVersion[]): Trial[] {
  const plugins = rule.eachPlugin ? distinct(subject.plugins) : [subject.plugins[0]]
  const fitting = versions.filter(
    (version) =>
      atLeast(version, rule.since ?? '0.3.1') && atLeast(rule.until ?? cniVersions.at(-1)!, version),
  )
  return plugins.flatMap((plugin): Trial[] => {
    if (fitting.length === 0) return [{ rule, plugin }]
    return (rule.eachVersion ? fitting : fitting.slice(-1)).map((version) => ({ rule, plugin, version }))
  })
}

function distinct(plugins: readonly Plugin[]): Plugin[] {
  return plugins.filter((plugin, index) => plugins.findIndex(({ type }) => type === plugin.type) === index)
}

async function tryRule(run: Run, { rule, plugin, version }: Trial): Promise<RuleResult> {
  const { subject, deadline } = run
  const { id, group, severity, sentence, reason, section } = rule
  const start = performance.now()
  const calls: PluginCall[] = []
  const result = (
    outcome: RuleResult['outcome'],
    why?: string,
    shown: readonly PluginCall[] = [],
  ): RuleResult => ({
    rule: id,
    group,
    severity,
    sentence,
    reason,
    ...(version ? { version } : {}),
    ...(rule.eachPlugin && subject.plugins.length > 1 ? { plugin: plugin.type } : {}),
    outcome,
    ...(why === undefined ? {} : { why }),
    section: cite(section, version ?? rule.since ?? cniVersions[0]),
    ...(outcome === 'failed' ? { calls: shown.length > 0 ? shown : calls.slice(-2) } : {}),
    milliseconds: Math.round(performance.now() - start),
  })

  const role = rule.eachPlugin ? plugin.role : subject.role
  if (!version) return result('skipped', `not in the versions tried (${run.versions.join(', ')})`)
  if (rule.roles && !rule.roles.includes(role))
    return result('skipped', `not for plugins of this role (${role})`)
  if (rule.ownInterface && plugin.keepsInterface)
    return result('skipped', 'the interface is not made by the plugin')
  if (run.late >= patienceWithHanging)
    return result('skipped', `the plugin has not ended in time ${run.late} times`)

  const testbed = await openPrepared(subject)
  const onCall = (call: PluginCall) => {
    calls.push(call)
    if (call.timedOut) run.late++
  }
  try {
    await rule.try(createContext(subject, plugin, version, testbed, deadline, onCall))
    return result('passed')
  } catch (error) {
    // Whatever else was to be found out: a call that never ends is what there is to tell.
    const late = calls.find(({ timedOut }) => timedOut)
    if (late) return result('failed', `it did not end within ${deadline} ms and was killed`, [late])
    if (error instanceof RuleBroken) return result('failed', error.message, error.calls)
    if (error instanceof RuleNotTried) return result('skipped', error.message)
    // What prepares the trial failed: the kernel has not what the plugin said it would have.
    return result('skipped', `could not be tried: ${messageOf(error)}`)
  } finally {
    await testbed.close()
  }
}

async function openPrepared(subject: Subject): Promise<Testbed> {
  const testbed = await openTestbed(subject.plugins.map(({ program }) => program))
  for (const command of subject.prepare)
    await testbed.sh(command).catch(async (error) => {
      await testbed.close()
      throw errors.CNI_TEST_PREPARE({ command, reason: messageOf(error) }, error)
    })
  return testbed
}

async function askVersions(subject: Subject, deadline: number): Promise<Map<string, readonly string[]>> {
  const testbed = await openPrepared(subject)
  try {
    // Once for all rules: where sandboxes can't be made nothing can be tried.
    await testbed.sh('ip netns add probe && ip netns delete probe').catch((error) => {
      throw errors.CNI_TEST_NO_NAMESPACES({ reason: messageOf(error) }, error)
    })
    const supported = new Map<string, readonly string[]>()
    for (const { program } of subject.plugins) {
      const env = { CNI_COMMAND: 'VERSION', CNI_PATH: subject.cniPath.join(':') }
      const { stdout } = await callPlugin(testbed, {
        program,
        env,
        stdin: '{"cniVersion":"1.0.0"}',
        deadline,
      })
      const answer = tryParse(stdout)
      const list =
        isObject(answer) && Array.isArray(answer['supportedVersions']) ? answer['supportedVersions'] : []
      supported.set(
        program,
        list.filter((version) => typeof version === 'string'),
      )
    }
    return supported
  } finally {
    await testbed.close()
  }
}

async function findShared({ subject, versions, deadline }: Run): Promise<string[]> {
  const testbed = await openPrepared(subject)
  try {
    const context = createContext(subject, subject.plugins[0], versions.at(-1)!, testbed, deadline, () => {})
    const attachment = await context.attachment()
    const before = await context.state()
    if ((await context.add(attachment)).failed || (await context.del(attachment)).failed) return []
    return [...compareStates(before, await context.state()).added]
  } finally {
    await testbed.close()
  }
}
