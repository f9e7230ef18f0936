import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { command, type Does } from '../../command.ts'
import { errors } from '../../errors.ts'
import { collect, type GlobalFlags, type JsonFlag, parseAnnotation } from '../../flags.ts'
import { print, printError, printJson } from '../../output.ts'

interface TestFlags extends GlobalFlags, JsonFlag {
  readonly options?: unknown
  readonly plugin?: string
  readonly annotation?: (readonly [string, string])[]
  readonly rule?: string[]
  readonly skip?: string[]
  readonly badge?: string
  readonly isolation: 'none' | 'process'
}

const text = collect((value) => value)

export function testCommand(does: Does): Command {
  return command(
    'test',
    'try the rules of the contract on a plugin package, in a process and namespaces of its own',
    'podwire plugin test .',
    `podwire plugin test ./my-plugin --options '{"bridge": "br7"}' --badge conformance.svg`,
  )
    .argument('<dir>', "the package's directory")
    .option('--options <json>', "the plugin's options in a configuration", parseJsonOption)
    .option('--plugin <name>', 'the plugin to test, where the package offers several')
    .option(
      '--annotation <key=value>',
      'on every pod of the test, where the plugin needs it; may be repeated',
      collect(parseAnnotation),
    )
    .option('--rule <id>', 'try this rule alone; may be repeated', text)
    .option('--skip <id>', 'leave this rule out; may be repeated', text)
    .addOption(
      new Option('--isolation <mode>', 'run the plugin in a process of its own, as a host may')
        .choices(['none', 'process'])
        .default('none'),
    )
    .option('--badge <file>', 'write the result as an SVG image')
    .option('--json', 'print JSON')
    .action(does(test))
}

export function rulesCommand(does: Does): Command {
  return command('rules', 'list the rules, each with its reason', 'podwire plugin rules')
    .option('--json', 'print JSON')
    .action(does(rules))
}

async function test(dir: string, flags: TestFlags): Promise<number> {
  const { options, plugin, annotation, rule, skip, badge, isolation, json, verbose } = flags
  const { exitCodeOf, formatBadge, formatReport, runPluginConformance } = await import(
    '@podwire/testing/plugin'
  )
  const report = await runPluginConformance({
    dir: resolve(dir),
    // The host's own loading: the kit stands below it, and knows it by this address alone.
    loader: import.meta.resolve('@podwire/core'),
    options,
    isolation,
    ...(plugin === undefined ? {} : { plugin }),
    ...(annotation === undefined ? {} : { pod: { annotations: Object.fromEntries(annotation) } }),
    ...(rule === undefined ? {} : { rules: rule }),
    ...(skip === undefined ? {} : { skip }),
    onResult: ({ rule: id, outcome }) => {
      // Whoever waits at a terminal sees how far it is.
      if (verbose || process.stderr.isTTY) printError(`${outcome}  ${id}`)
    },
  })
  if (badge !== undefined) await writeFile(badge, formatBadge(report))
  if (json) printJson(report, 2)
  else print(formatReport(report))
  return exitCodeOf(report)
}

async function rules({ json }: JsonFlag): Promise<void> {
  const { pluginRules } = await import('@podwire/testing/plugin')
  const listed = pluginRules.map(({ id, group, sentence, reason }) => ({ id, group, sentence, reason }))
  if (json) printJson(listed, 2)
  else for (const { id, sentence, reason } of listed) print(`${id}\n  ${sentence}\n  ${reason}`)
}

function parseJsonOption(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    throw errors.USAGE({ what: '--options', value, expected: 'JSON, such as {"key": "value"}' })
  }
}
