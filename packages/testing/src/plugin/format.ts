import { printable } from '@podwire/api'
import type { PluginReport, RuleResult } from './report.ts'

/** How to print a report. */
export interface FormatOptions {
  /** ANSI colours. Default: no. */
  readonly colour?: boolean
}

type Paint = (code: number, text: string) => string

/** The report for people: a line for each rule, then each failure with what was done and seen. */
export function formatReport(report: PluginReport, { colour = false }: FormatOptions = {}): string {
  const paint: Paint = (code, text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  const marks = { passed: paint(32, 'passed '), failed: paint(31, 'failed '), skipped: paint(33, 'skipped') }
  const width = Math.max(0, ...report.results.map(({ rule }) => rule.length))
  const failures = report.results.filter(({ outcome }) => outcome === 'failed')
  return [
    paint(1, `${report.packageName} ${report.version}`),
    '',
    ...report.results.map(({ rule, outcome, sentence, seen }) => {
      const text = outcome === 'skipped' ? oneLine(seen ?? '') : sentence
      return `${marks[outcome]}  ${rule.padEnd(width)}  ${text}`
    }),
    ...failures.flatMap((failure) => ['', formatFailure(failure, paint)]),
    '',
    `${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped in ${(report.milliseconds / 1000).toFixed(1)} s`,
  ].join('\n')
}

/** One rule that failed: the rule, what was done, what was seen. */
export function formatFailure(
  { rule, sentence, reason, did, seen }: RuleResult,
  paint: Paint = (_code, text) => text,
): string {
  return [
    paint(31, `✗ ${rule}`),
    `  rule     ${sentence}`,
    `  because  ${reason}`,
    ...did.map((step, index) => `  ${index === 0 ? 'done' : '    '}     ${printable(step)}`),
    `  seen     ${printable(seen ?? '').replaceAll('\n', '\n           ')}`,
  ].join('\n')
}

function oneLine(text: string): string {
  const line = printable(text.replace(/\s+/g, ' '))
  return line.length > 140 ? `${line.slice(0, 139)}…` : line
}
