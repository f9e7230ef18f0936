import { printable } from '@podwire/api'
import type { CniReport, RuleResult } from './report.ts'
import type { PluginCall } from './testbed/call.ts'

/** The report as a table for people: a line for each rule, then each failure with all that is needed to see it again. */
export function formatReport(report: CniReport): string {
  const lines = merge(report.results)
  const width = Math.max(0, ...lines.map(({ name }) => name.length))
  const plugins = report.plugins.map(({ type, program, role }) => `${type} (${program}, ${role})`)
  return [
    `${report.target}: ${plugins.join(' → ')}, CNI ${report.versions.join(', ')}`,
    '',
    ...lines.map(({ name, result, versions }) => {
      const { outcome, severity, why = '' } = result
      const detail = outcome === 'passed' ? '' : oneLine(`${versions ? `[${versions}] ` : ''}${why}`)
      return `${outcome.padEnd(7)}  ${severity.padEnd(6)}  ${name.padEnd(width)}  ${detail}`.trimEnd()
    }),
    ...lines
      .filter(({ result }) => result.outcome === 'failed')
      .flatMap((line) => ['', ...formatFailure(line)]),
    ...formatShared(report.shared),
    '',
    `${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped in ${(report.milliseconds / 1000).toFixed(1)} s`,
  ].join('\n')
}

/** A line of the table: one or several results. */
interface Line {
  readonly name: string
  readonly result: RuleResult
  readonly versions: string
}

// Those that came out the same in several versions are one.
function merge(results: readonly RuleResult[]): Line[] {
  const merged = new Map<string, RuleResult[]>()
  for (const result of results) {
    const key = JSON.stringify([result.rule, result.plugin, result.outcome, result.why])
    merged.set(key, [...(merged.get(key) ?? []), result])
  }
  return [...merged.values()].map((same) => {
    const [result] = same as [RuleResult, ...RuleResult[]] // One has made the entry.
    return { name: nameOf(result), result, versions: same.flatMap(({ version }) => version ?? []).join(', ') }
  })
}

function formatFailure({ name, result, versions }: Line): string[] {
  return [
    `✗ ${name} (${versions})`,
    `  rule     ${result.sentence}`,
    `  because  ${result.reason}`,
    `  spec     ${result.section.text} (${result.severity}): ${result.section.url}`,
    `  seen     ${printable(result.why ?? '')}`,
    ...(result.calls ?? []).flatMap(formatCall),
  ]
}

function formatShared(shared: readonly string[]): string[] {
  if (shared.length === 0) return []
  const heading = 'Kept by the network after its first attachment has gone (not counted as left behind):'
  return ['', heading, ...shared.map((line) => `  ${printable(line)}`)]
}

function formatCall(call: PluginCall): string[] {
  const variables = Object.entries(call.env).map(([name, value]) => `${name}=${quote(value)}`)
  return [
    `  done     echo ${quote(call.stdin)} | ${variables.join(' ')} ${quote(call.program)}`,
    `           exit code ${call.exitCode ?? 'none, killed'} after ${call.milliseconds} ms`,
    ...(call.stdout.trim() ? [`           stdout: ${cut(call.stdout)}`] : []),
    ...(call.stderr.trim() ? [`           stderr: ${cut(call.stderr)}`] : []),
  ]
}

function nameOf({ rule, plugin }: RuleResult): string {
  return plugin === undefined ? rule : `${rule} (${plugin})`
}

function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", "'\\''")}'`
}

function oneLine(text: string): string {
  const line = printable(text.replace(/\s+/g, ' '))
  return line.length > 140 ? `${line.slice(0, 139)}…` : line
}

function cut(text: string): string {
  const line = printable(text.trim().replace(/\s+/g, ' '))
  return line.length > 1000 ? `${line.slice(0, 999)}…` : line
}
