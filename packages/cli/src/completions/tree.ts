import type { Command, Option } from 'commander'

/** What a shell can complete of a command. */
export interface Completions {
  /** The words that lead to it: `podwire config`. */
  readonly path: string
  readonly name: string
  readonly description: string
  readonly options: readonly CompletedOption[]
  readonly commands: readonly Completions[]
  /** What its argument may be, where that is one of a few words. */
  readonly words: readonly string[]
}

interface CompletedOption {
  /** `--publish`, `-p` */
  readonly names: readonly string[]
  readonly description: string
  readonly takesValue: boolean
  /** Its values, where they are few. */
  readonly choices: readonly string[]
}

/** Read off the tree of commands, so that a completion can't know less than the command line. */
export function completionsOf(command: Command, before: readonly string[] = []): Completions {
  const path = [...before, command.name()]
  return {
    path: path.join(' '),
    name: command.name(),
    description: command.description(),
    options: command.createHelp().visibleOptions(command).map(completedOption),
    commands: command.commands.map((one) => completionsOf(one, path)),
    words: command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices),
  }
}

/** A command and all below it. */
export function flatten(command: Completions): readonly Completions[] {
  return [command, ...command.commands.flatMap(flatten)]
}

function completedOption({
  long,
  short,
  description,
  required,
  optional,
  argChoices = [],
}: Option): CompletedOption {
  return {
    names: [long, short].filter((name) => name !== undefined && name !== null),
    description,
    takesValue: required || optional,
    choices: argChoices,
  }
}
