import { cite, cniRules, cniVersions } from '@podwire/testing/cni'
import { pluginRules } from '@podwire/testing/plugin'
import { code, type Page, paragraphs, plain } from '../markdown.ts'

/** The rules that plugins of each kind are put to, a page for each kit. */
export function rulePages(): Page[] {
  return [
    {
      path: 'reference/plugin-rules',
      text: paragraphs(HEAD, PLUGIN_INTRODUCTION, ...grouped(pluginRules, headings, pluginRule)),
    },
    {
      path: 'reference/cni-rules',
      text: paragraphs(HEAD, CNI_INTRODUCTION, ...grouped(cniRules, cniHeadings, cniRule)),
    },
  ]
}

// A heading for each rule makes the list of a page longer than the page: its groups are enough.
const HEAD = '---\noutline: 2\n---'

const PLUGIN_INTRODUCTION = `# Rules for network plugins

What \`podwire plugin test\` and \`describeNetworkPlugin\` try on a plugin, in this order. A rule that a plugin breaks is shown
with what was done and what was seen; the [guide for plugin authors](../plugin-authors.md#testing) says how to run them.
\`podwire plugin rules\` prints the same list, with \`--json\` for programs.`

const CNI_INTRODUCTION = `# Rules for CNI plugins

What \`podwire cni test\` tries on a CNI plugin in whatever language, in this order, each with the section of the spec that
demands it: **must** and **should** are the spec's own words. The [guide for the CNI library](../cni-library.md) says how to
run them, and [a table](../cni-conformance.md) what they find in Debian's plugins. \`podwire cni rules\` prints the same list,
with \`--json\` for programs.`

function grouped<Rule extends { readonly group: string }>(
  rules: readonly Rule[],
  headings: Readonly<Record<string, string>>,
  section: (rule: Rule) => string,
): string[] {
  const groups = new Set(rules.map(({ group }) => group))
  return [...groups].flatMap((group) => [
    // A rule may be called like its group.
    `## ${headings[group] ?? group} {#about-${group}}`,
    ...rules.filter((rule) => rule.group === group).map(section),
  ])
}

/** What a group is about, where its name alone says too little. */
const headings: Readonly<Record<string, string>> = {
  package: 'The package',
  options: 'Options',
  init: 'Start',
  capabilities: 'Capabilities',
  pods: 'Set-up and tear-down',
  status: 'Status',
  changes: 'A changed pod',
  concurrency: 'Several at once',
  abort: 'Aborts',
  errors: 'Errors',
  events: 'Events',
  check: 'Check',
  garbage: 'Garbage',
  restart: 'A host that is killed',
  leaks: 'What is left in the process',
  process: 'The process, watched all the while',
}

const cniHeadings: Readonly<Record<string, string>> = {
  version: 'VERSION',
  environment: 'Environment',
  configuration: 'Configuration',
  errors: 'Errors',
  add: 'ADD',
  result: 'The result of ADD',
  del: 'DEL',
  check: 'CHECK',
  concurrency: 'Several at once',
  crash: 'ADD is killed',
  delegation: 'Address plugins',
  gc: 'GC',
  status: 'STATUS',
}

function pluginRule(rule: (typeof pluginRules)[number]): string {
  const needs =
    'needs' in rule && rule.needs ? `Only for plugins with the capability ${code(rule.needs)}.` : ''
  return section(rule, needs)
}

function cniRule(rule: (typeof cniRules)[number]): string {
  const { severity, since, until, roles, section: cited } = rule
  const { text, url } = cite(cited, until ?? cniVersions.at(-1) ?? '1.1.0')
  const limits = [
    since === undefined ? undefined : `since ${since}`,
    until === undefined ? undefined : `up to ${until}`,
    roles && `for plugins of the role ${roles.map(code).join(' or ')}`,
  ].filter((limit) => limit !== undefined)
  const facts = [`**${severity}**`, `[${text}](${url})`, ...limits]
  return section(rule, `${facts.join(' · ')}`)
}

function section(
  { id, sentence, reason }: { readonly id: string; readonly sentence: string; readonly reason: string },
  facts: string,
): string {
  return paragraphs(`### ${code(id)} {#${id}}`, plain(sentence), `*Why:* ${plain(reason)}`, facts).trimEnd()
}
