import { printable } from '@podwire/api'
import type { PluginCall } from './call.ts'
import type { CniReport, RuleResult } from './report.ts'

/** How to print a report. */
export interface FormatOptions {
  /** ANSI colours. Default: no. */
  readonly colour?: boolean
}

/** The report as a table for people: a line for each rule, then each failure with all that is needed to see it again. */
export function formatReport(report: CniReport, { colour = false }: FormatOptions = {}): string {
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  const marks = { passed: paint(32, 'passed '), failed: paint(31, 'failed '), skipped: paint(33, 'skipped') }
  const lines = merge(report.results)
  const width = Math.max(0, ...lines.map(({ name }) => name.length))
  const plugins = report.plugins.map(({ type, program, role }) => `${type} (${program}, ${role})`)
  const failures = report.results.filter(({ outcome }) => outcome === 'failed')
  return [
    `${paint(1, report.target)}: ${plugins.join(' → ')}, CNI ${report.versions.join(', ')}`,
    '',
    ...lines.map(({ name, result, versions }) => {
      const why = result.outcome === 'passed' ? '' : `${versions}${oneLine(result.why ?? '')}`
      return `${marks[result.outcome]}  ${result.severity.padEnd(6)}  ${name.padEnd(width)}  ${why}`.trimEnd()
    }),
    ...failures.flatMap((failure) => ['', ...formatFailure(failure, paint)]),
    ...(report.shared.length > 0
      ? [
          '',
          'Kept by the network after its first attachment has gone (not counted as left behind):',
          ...report.shared.map((line) => `  ${printable(line)}`),
        ]
      : []),
    '',
    `${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped in ${(report.milliseconds / 1000).toFixed(1)} s`,
  ].join('\n')
}

/** Rules that came out the same in several versions are one line. */
function merge(results: readonly RuleResult[]): { name: string; result: RuleResult; versions: string }[] {
  const merged = new Map<string, RuleResult[]>()
  for (const result of results) {
    const key = JSON.stringify([result.rule, result.plugin, result.outcome, result.why])
    merged.set(key, [...(merged.get(key) ?? []), result])
  }
  return [...merged.values()].map((same) => {
    const [result] = same as [RuleResult, ...RuleResult[]] // One has made the entry.
    const versions = same.flatMap(({ version }) => version ?? [])
    return {
      name: nameOf(result),
      result,
      versions: same.length > 0 && versions.length > 0 ? `[${versions.join(', ')}] ` : '',
    }
  })
}

function formatFailure(failure: RuleResult, paint: (code: number, text: string) => string): string[] {
  return [
    paint(31, `✗ ${nameOf(failure)}${failure.version ? ` (in ${failure.version})` : ''}`),
    `  rule     ${failure.sentence}`,
    `  because  ${failure.reason}`,
    `  spec     ${failure.section.text} (${failure.severity}): ${failure.section.url}`,
    `  seen     ${printable(failure.why ?? '')}`,
    ...(failure.calls ?? []).flatMap((call) => formatCall(call)),
  ]
}

function formatCall(call: PluginCall): string[] {
  const variables = Object.entries(call.env).map(([name, value]) => `${name}=${quote(value)}`)
  return [
    `  done     echo ${quote(call.stdin)} | ${variables.join(' ')} ${call.program}`,
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
