import { Command, CommanderError, Option } from 'commander'
import type { GlobalFlags, PodFlags } from './flags.ts'
import { collect, parseAnnotation, parseBandwidthFlag, parsePid, parsePort } from './flags.ts'
import { version } from './version.ts'

/** Runs the command in `argv`; resolves with its exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  let exitCode = 0
  const program = withGlobalFlags(new Command('podwire'))
    .description('Networking for sandboxes: a network namespace and a network for each.')
    .version(version(), '-V, --version')
    .exitOverride()
    .configureHelp({ sortSubcommands: false })
    .enablePositionalOptions()
    .showSuggestionAfterError()

  // A command returns its exit code, or nothing for 0.
  const does =
    <Args extends unknown[]>(action: (...args: Args) => Promise<number | undefined | void>) =>
    async (...args: Args) => {
      exitCode = (await action(...args)) ?? 0
    }
  let invoked = program
  program.hook('preAction', (_program, command) => {
    invoked = command
  })
  const globals = (): GlobalFlags => invoked.optsWithGlobals()

  program
    .command('init')
    .description('write a starter configuration')
    .addOption(new Option('--format <format>', 'of the file').choices(['json', 'yaml', 'ts']).default('json'))
    .option('--force', 'write over an existing file')
    .action(
      does(async (flags: { format: 'json' | 'yaml' | 'ts'; force?: boolean }) =>
        (await import('./commands/init.ts')).init(flags),
      ),
    )

  const config = program.command('config').description('look at the configuration')
  config
    .command('check')
    .description('say whether it is right')
    .action(does(async () => (await import('./commands/config.ts')).checkConfig(globals())))
  config
    .command('print')
    .description('print it as JSON, with every default filled in')
    .action(does(async () => (await import('./commands/config.ts')).printConfig(globals())))
  config
    .command('schema')
    .description('print the JSON Schema of a configuration file')
    .action(does(async () => (await import('./commands/config.ts')).printSchema()))

  program
    .command('plugins')
    .description('list every plugin package found, and what is wrong with those rejected')
    .option('--json', 'print JSON')
    .action(
      does(async (flags: { json?: boolean }) =>
        (await import('./commands/plugins.ts')).plugins(globals(), flags),
      ),
    )

  withPodFlags(program.command('up'))
    .argument('<pod>', 'NAMESPACE/NAME')
    .description('give a pod its network')
    .option('--json', 'print JSON')
    .action(
      does(async (pod: string, flags: PodFlags & { json?: boolean }) =>
        (await import('./commands/up.ts')).up(pod, globals(), flags),
      ),
    )

  program
    .command('status')
    .argument('[pod]', 'NAMESPACE/NAME')
    .description('show the plugin and the pods')
    .option('--json', 'print JSON')
    .action(
      does(async (pod: string | undefined, flags: { json?: boolean }) =>
        (await import('./commands/status.ts')).status(pod, globals(), flags),
      ),
    )

  program
    .command('down')
    .argument('<pod>', 'NAMESPACE/NAME')
    .description("take a pod's network away; one that isn't there is fine")
    .action(does(async (pod: string) => (await import('./commands/down.ts')).down(pod, globals())))

  program
    .command('exec')
    .argument('<pod>', 'NAMESPACE/NAME')
    .argument('<command...>')
    .passThroughOptions()
    .description("run a command in a pod's network")
    .action(
      does(async (pod: string, command: string[]) =>
        (await import('./commands/exec.ts')).exec(pod, afterDashes(command), globals()),
      ),
    )

  withPodFlags(program.command('run'))
    .argument('<command...>')
    .option('--name <pod>', 'NAMESPACE/NAME (default: a name of its own)')
    .passThroughOptions()
    .description('run a command in a sandbox of its own, which goes when the command ends')
    .action(
      does(async (command: string[], flags: PodFlags & { name?: string }) =>
        (await import('./commands/run.ts')).runInSandbox(afterDashes(command), globals(), flags),
      ),
    )

  program
    .command('event')
    .argument('<name>', 'pod-cidr-change, repair …')
    .argument('[details...]', 'KEY=VALUE')
    .description('send an event to the plugin')
    .action(
      does(async (name: string, details: string[]) =>
        (await import('./commands/event.ts')).event(name, details, globals()),
      ),
    )

  program
    .command('doctor')
    .description('check that this machine can do it, and say what to do where it can not')
    .option('--json', 'print JSON')
    .action(
      does(async (flags: { json?: boolean }) =>
        (await import('./commands/doctor.ts')).doctor(globals(), flags),
      ),
    )

  program
    .command('cnitool')
    .argument('[words...]', 'add|check|del NETWORK NETNS, or gc|status|version NETWORK')
    .option('-i, --interface <name>', 'inside the namespace (default: CNI_IFNAME, or eth0)')
    .description('run a CNI network configuration, as the Go tool of that name does')
    .action(
      does(async (words: string[], flags: { interface?: string }) =>
        (await import('./commands/cnitool.ts')).cnitool(words, flags),
      ),
    )

  for (const command of leaves(program)) withGlobalFlags(command)
  try {
    await program.parseAsync([...argv])
  } catch (error) {
    // Help and version end this way too; commander has printed what there is to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    throw error
  }
  return exitCode
}

// They may stand before the command's name and after it.
function withGlobalFlags(command: Command): Command {
  return command
    .option(
      '-c, --config <file>',
      'the configuration (default: podwire.config.* from here upwards, then /etc/podwire)',
    )
    .option(
      '--state-dir <dir>',
      'where records of sandboxes are kept (default: stateDir of the configuration)',
    )
    .option('--verbose', 'log what happens to stderr, and errors with their causes')
}

function leaves(command: Command): Command[] {
  return command.commands.flatMap((sub) => (sub.commands.length > 0 ? leaves(sub) : [sub]))
}

function withPodFlags(command: Command): Command {
  return command
    .option('--netns <path>', 'adopt this network namespace')
    .option('--pid <pid>', 'adopt the network namespace of this process', parsePid)
    .option('-p, --publish <port>', '[ADDRESS:]HOST:POD[/udp]; may be repeated', collect(parsePort))
    .option(
      '--ingress <rate>',
      'limit the traffic to the pod, such as 10M (bits per second)',
      parseBandwidthFlag('--ingress'),
    )
    .option('--egress <rate>', 'limit the traffic from the pod', parseBandwidthFlag('--egress'))
    .option('--annotation <key=value>', 'annotate the pod; may be repeated', collect(parseAnnotation))
}

// Options that pass through leave the dashes that end ours at the head of the command.
function afterDashes(command: string[]): string[] {
  return command[0] === '--' ? command.slice(1) : command
}
