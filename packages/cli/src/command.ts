import { Command } from 'commander'
import {
  collect,
  type GlobalFlags,
  parseAnnotation,
  parseBandwidthFlag,
  parsePid,
  parsePort,
} from './flags.ts'
import { withoutColour } from './output.ts'
import { collectPolicyFile, parsePolicyFlag } from './policy-flags.ts'

/**
 * Makes what commander calls out of what a command does: it gets the arguments and then the flags, the global ones among
 * them, and returns its exit code, or nothing for 0.
 */
export type Does = <Args extends unknown[]>(
  run: (...args: Args) => Promise<number | void>,
) => (...args: unknown[]) => Promise<void>

/**
 * A command's definition: the default export of its file in commands/. What it prints of all commands it reads off
 * `wholeProgram`, whose commands do nothing.
 */
export type DefineCommand = (does: Does, wholeProgram: () => Promise<Command>) => Command

/** A command with an example at the end of its help. */
export function command(name: string, description: string, ...examples: readonly string[]): Command {
  return new Command(name)
    .description(description)
    .addHelpText('after', `\nExample:\n${examples.map((line) => `  $ ${line}`).join('\n')}`)
}

/** A command that only holds others. */
export function commandGroup(name: string, description: string, commands: readonly Command[]): Command {
  return commands.reduce((group, one) => group.addCommand(one), new Command(name).description(description))
}

/** Flags that may stand before the command's name and after it. */
export function withGlobalFlags(one: Command): Command {
  return one
    .option(
      '-c, --config <file>',
      'the configuration (default: podwire.config.* from here upwards, then /etc/podwire)',
    )
    .option(
      '--state-dir <dir>',
      'where records of sandboxes are kept (default: stateDir of the configuration)',
    )
    .option(
      '--trust <dir>',
      'use files in there as root though others could have written them; may be repeated',
      collect((dir) => dir),
    )
    .option('--daemon', 'ask the daemon of the state directory, and fail where none runs')
    .option('--no-daemon', 'do it in this process, though a daemon runs (default: ask one that runs)')
    .option('--verbose', 'log what happens to stderr, and errors with their causes')
    .option('--no-color', 'print without colours, as with NO_COLOR')
    .on('option:no-color', withoutColour)
}

/** The flags of a command, those before its name among them. */
export function flagsOf(one: Command): GlobalFlags {
  const levels = [one, ...ancestors(one)].map((level): GlobalFlags => level.opts())
  return { ...one.optsWithGlobals(), trust: levels.flatMap(({ trust = [] }) => trust) }
}

function ancestors({ parent }: Command): Command[] {
  return parent ? [parent, ...ancestors(parent)] : []
}

export function withPodFlags(one: Command): Command {
  return one
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
    .option(
      '--allow <what>',
      'reach this and nothing else: HOST, CIDR or ADDRESS with [:PORT[-PORT]][/tcp|udp]; * for all, gateway, dns, pod:NAMESPACE/NAME or NAME.NAMESPACE.pod; may be repeated',
      collect(parsePolicyFlag('--allow')),
    )
    .option(
      '--deny <what>',
      'never reach this: the same, or metadata; may be repeated',
      collect(parsePolicyFlag('--deny')),
    )
    .option('--no-internet', 'reach other pods and the host alone')
    .option('--isolated', 'reach nothing but what --allow adds, and be reached by published ports alone')
    .option(
      '--policy <file>',
      'what the pod may reach, and who may reach it: YAML or JSON, of Kubernetes too; may be repeated',
      collectPolicyFile,
    )
    .option('--allow-no-address', 'accept a pod that the plugin gives no address')
}

/** Options that pass through leave the dashes that end ours at the head of the command. */
export function afterDashes(words: readonly string[]): readonly string[] {
  return words[0] === '--' ? words.slice(1) : words
}
