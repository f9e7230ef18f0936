import { Command, CommanderError } from 'commander'
import { type DefineCommand, type Does, flagsOf, withGlobalFlags } from './command.ts'
import { printError, printRaw } from './output.ts'
import { supervise } from './supervise.ts'
import { version } from './version.ts'

type Load = () => Promise<{ readonly default: DefineCommand }>

// In the order of the help. The file of a command is loaded when it is called, or when all are shown.
const commands = new Map<string, Load>([
  ['init', () => import('./commands/init.ts')],
  ['config', () => import('./commands/config.ts')],
  ['plugins', () => import('./commands/plugins.ts')],
  ['plugin', () => import('./commands/plugin.ts')],
  ['run', () => import('./commands/run.ts')],
  ['up', () => import('./commands/up.ts')],
  ['exec', () => import('./commands/exec.ts')],
  ['ps', () => import('./commands/ps.ts')],
  ['status', () => import('./commands/status.ts')],
  ['check', () => import('./commands/check.ts')],
  ['repair', () => import('./commands/repair.ts')],
  ['down', () => import('./commands/down.ts')],
  ['prune', () => import('./commands/prune.ts')],
  ['gc', () => import('./commands/gc.ts')],
  ['event', () => import('./commands/event.ts')],
  ['daemon', () => import('./commands/daemon.ts')],
  ['cluster', () => import('./commands/cluster.ts')],
  ['events', () => import('./commands/events.ts')],
  ['flows', () => import('./commands/flows.ts')],
  ['top', () => import('./commands/top.ts')],
  ['doctor', () => import('./commands/doctor.ts')],
  ['cni', () => import('./commands/cni.ts')],
  ['cnitool', () => import('./commands/cnitool.ts')],
  ['completion', () => import('./commands/completion.ts')],
])

/** Runs the command in `argv`; resolves with the exit code, whatever happens. */
export function run(argv: readonly string[]): Promise<number> {
  return supervise(argv, () => parse(argv))
}

async function parse(argv: readonly string[]): Promise<number> {
  let exitCode = 0
  const called = argv[2] ?? ''
  const program = await buildProgram(
    (run) =>
      async (...args) => {
        // Commander's last two arguments are the command's own flags and the command.
        const one = args.at(-1) as Command
        // The arguments before are as the definition beside `run` says, each parsed or a string.
        const given = [...args.slice(0, -2), flagsOf(one)] as Parameters<typeof run>
        exitCode = (await run(...given)) ?? 0
      },
    commands.has(called) ? [called] : undefined,
  )
  try {
    await program.parseAsync([...argv])
  } catch (error) {
    // Help and version end this way too; commander has printed what there is to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    throw error
  }
  return exitCode
}

/** The tree of commands. @param names those to load; default: all */
export async function buildProgram(
  does: Does,
  names: readonly string[] = [...commands.keys()],
): Promise<Command> {
  const program = withGlobalFlags(new Command('podwire'))
    .description('Networking for sandboxes: a network namespace and a network for each.')
    .version(version(), '-V, --version')
    .enablePositionalOptions()
    .addHelpText('after', '\nExample:\n  $ podwire run -- ip -brief address')
  const defined = await Promise.all(names.map((name) => commands.get(name)?.()))
  const wholeProgram = () => buildProgram(() => async () => {})
  for (const definition of defined) if (definition) program.addCommand(definition.default(does, wholeProgram))
  for (const one of tree(program)) {
    one
      .exitOverride()
      .showSuggestionAfterError()
      .showHelpAfterError(`See: ${pathOf(one)} --help`)
      .configureOutput({ writeOut: printRaw, writeErr: (text) => printError(text.trimEnd()) })
    if (one !== program && one.commands.length === 0) withGlobalFlags(one)
  }
  return program
}

/** What is typed to call it. */
function pathOf(one: Command): string {
  return one.parent ? `${pathOf(one.parent)} ${one.name()}` : one.name()
}

function tree(one: Command): Command[] {
  return [one, ...one.commands.flatMap(tree)]
}
