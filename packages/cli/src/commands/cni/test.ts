import type { CniConformanceOptions, CniVersion, Role } from '@podwire/testing/cni'
import { type Command, Option } from 'commander'
import { command, type Does } from '../../command.ts'
import { errors } from '../../errors.ts'
import { collect, type GlobalFlags, type JsonFlag, parseTimeout } from '../../flags.ts'
import { print, printError, printJson } from '../../output.ts'

interface TestFlags extends GlobalFlags, JsonFlag {
  readonly role?: Role
  readonly interface?: string
  readonly path?: string[]
  readonly prepare?: string[]
  readonly rule?: string[]
  readonly skip?: string[]
  readonly cniVersion?: string[]
  readonly timeout?: number
}

const text = collect((value) => value)

export function testCommand(does: Does): Command {
  return command(
    'test',
    'try the rules of the CNI spec on a plugin, or on a network of several, in namespaces of its own. --config names the plugin’s configuration',
    'podwire cni test /opt/cni/bin/bridge',
    'podwire cni test ./my-plugin --config my-network.conf',
    'podwire cni test /etc/cni/net.d/10-mynet.conflist --json',
  )
    .argument('<target>', "a plugin's executable, or a .conflist, .conf or .json file")
    .addOption(
      new Option('--role <role>', 'what the first plugin is for').choices(['interface', 'chained', 'ipam']),
    )
    .option('-i, --interface <name>', 'inside the sandbox (default: eth0)')
    .option('--path <dir>', 'where plugins are found (default: CNI_PATH); may be repeated', text)
    .option('--prepare <command>', 'run this on the host of each test before it; may be repeated', text)
    .option('--rule <id>', 'try this rule alone; may be repeated', text)
    .option('--skip <id>', 'leave this rule out; may be repeated', text)
    .option('--cni-version <version>', 'try this version alone; may be repeated', text)
    .option('--timeout <duration>', 'for one call (default: 30s)', parseTimeout)
    .option('--json', 'print JSON')
    .action(does(test))
}

export function rulesCommand(does: Does): Command {
  return command('rules', 'list the rules, each with its reason', 'podwire cni rules')
    .option('--json', 'print JSON')
    .action(does(rules))
}

async function test(target: string, flags: TestFlags): Promise<number> {
  const { exitCodeOf, formatReport, runCniConformance } = await import('@podwire/testing/cni')
  const report = await runCniConformance(await optionsOf(target, flags))
  if (flags.json) printJson(report, 2)
  else print(formatReport(report))
  return exitCodeOf(report)
}

async function optionsOf(target: string, flags: TestFlags): Promise<CniConformanceOptions> {
  const { config, role, interface: ifName, path: cniPath, prepare, rule, skip, timeout: deadline } = flags
  const versions = await Promise.all((flags.cniVersion ?? []).map(parseVersion))
  const given = { config, role, ifName, cniPath, prepare, rules: rule, skip, deadline }
  return {
    target,
    // Those that are set: the compiler can't see that none is undefined then.
    ...(Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    ) as Partial<CniConformanceOptions>),
    ...(versions.length > 0 ? { versions } : {}),
    onResult: ({ rule: id, outcome }) => {
      // It takes a minute: whoever waits at a terminal sees how far it is.
      if (flags.verbose || process.stderr.isTTY) printError(`${outcome}  ${id}`)
    },
  }
}

async function parseVersion(version: string): Promise<CniVersion> {
  const { cniVersions, isCniVersion } = await import('@podwire/testing/cni')
  if (isCniVersion(version)) return version
  throw errors.USAGE({ what: '--cni-version', value: version, expected: `one of ${cniVersions.join(', ')}` })
}

async function rules({ json }: JsonFlag): Promise<void> {
  const { cite, cniRules, cniVersions } = await import('@podwire/testing/cni')
  const newest = cniVersions[cniVersions.length - 1] ?? cniVersions[0]
  const listed = cniRules.map(({ try: _, section, ...rule }) => ({
    ...rule,
    section: cite(section, rule.until ?? newest),
  }))
  if (json) return printJson(listed, 2)
  for (const { id, severity, sentence, reason, section } of listed)
    print(`${id} (${severity})\n  ${sentence}\n  ${reason}\n  ${section.text}`)
}
