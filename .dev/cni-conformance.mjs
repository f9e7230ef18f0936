// Puts the CNI plugins of a directory through the conformance kit and writes packages/docs/pages/cni-conformance.md:
// node .dev/cni-conformance.mjs [DIRECTORY]
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import './run-source.mjs'

const { cniRules, runCniConformance } = await import('../packages/testing/src/cni/index.ts')

const directory = process.argv[2] ?? '/usr/lib/cni'
const types = [
  'bridge',
  'ptp',
  'macvlan',
  'ipvlan',
  'vlan',
  'host-device',
  'loopback',
  'portmap',
  'bandwidth',
  'firewall',
  'tuning',
  'sbr',
  'host-local',
  'static',
]

const tested = []
for (const type of types) {
  console.error(`cni-conformance: ${type}`)
  try {
    tested.push({ type, report: await runCniConformance({ target: join(directory, type) }) })
  } catch (error) {
    if (error.exitCode !== 2) throw error
    tested.push({ type, problem: error.message })
  }
}

const judged = tested.filter(({ report }) => report)
const of = (report, rule) => report.results.filter((result) => result.rule === rule)
const failuresOf = (report) => report.results.filter(({ outcome }) => outcome === 'failed')
const cell = (results) => {
  const outcomes = new Set(results.map(({ outcome }) => outcome))
  if (outcomes.has('failed')) return results[0].severity === 'must' ? '✗' : '△'
  return outcomes.has('passed') ? '✓' : '–'
}
const row = (...cells) => `| ${cells.join(' | ')} |`
// Container IDs, hashes of them and temporary directories differ from run to run.
const steady = (text) =>
  text
    .replace(/\s+/g, ' ')
    .replace(/\bt[0-9a-f]{8}-\d+/g, 'ID')
    .replace(/\b(CNI-(?:[A-Z]+-)*|veth)[0-9a-f]{8,}/g, '$1…')
    .replaceAll('|', '\\|')
const shorten = (text) => (text.length > 260 ? `${text.slice(0, 259)}…` : text)

const lines = [
  '# CNI plugins put to the test',
  '',
  `Written by \`node .dev/cni-conformance.mjs\`, which runs \`podwire cni test\` on each plugin of Debian's containernetworking-plugins 1.1.1 in`,
  '`/usr/lib/cni`, in namespaces of its own. ✓ passed, ✗ failed what the spec says a plugin must do, △ failed what it should do, – not for this plugin.',
  '[The rules, with their reasons](./reference/cni-rules.md).',
  '',
  row('rule', ...judged.map(({ type }) => type)),
  row('---', ...judged.map(() => ':-:')),
  ...cniRules
    .filter(({ id }) =>
      judged.some(({ report }) => of(report, id).some(({ outcome }) => outcome !== 'skipped')),
    )
    .map(({ id }) =>
      row(`[\`${id}\`](./reference/cni-rules.md#${id})`, ...judged.map(({ report }) => cell(of(report, id)))),
    ),
  row('rules passed', ...judged.map(({ report }) => report.passed)),
  row('rules failed', ...judged.map(({ report }) => report.failed)),
  '',
  'These plugins speak versions up to 1.0.0, so the rules of 1.1.0 (GC, STATUS) were not tried.',
  '',
  'The rules `cni-killed-…` kill ADD at five moments, so that ✓ says that nothing was found at these: in other runs DEL of bridge failed, when ADD was',
  'killed between a rule for iptables and its chain.',
  ...tested.flatMap(({ type, problem }) =>
    problem ? ['', `\`${type}\` could not be tried here. ${steady(problem)}`] : [],
  ),
  '',
  '## What was found',
  ...judged.flatMap(({ type, report }) => [
    '',
    `### ${type}`,
    '',
    ...[...new Map(failuresOf(report).map((failure) => [failure.rule, failure])).values()].map(
      ({ rule, severity, why, section }) =>
        `- \`${rule}\` (${severity}; [${section.text}](${section.url})): ${shorten(steady(why))}`,
    ),
  ]),
  '',
]
writeFileSync(new URL('../packages/docs/pages/cni-conformance.md', import.meta.url), lines.join('\n'))
