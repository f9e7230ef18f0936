import { type Completions, flatten } from './tree.ts'

/** A script for fish: `podwire completion fish | source`. */
export function fishCompletion(root: Completions): string {
  return flatten(root)
    .flatMap((one) => linesOf(root, one))
    .join('\n')
    .concat('\n')
}

function linesOf(root: Completions, { path, commands, words, options }: Completions): string[] {
  const names = path.split(' ').slice(1)
  const isHere = names.map((name) => `__fish_seen_subcommand_from ${name}`)
  const isNotBelow =
    commands.length > 0
      ? [`not __fish_seen_subcommand_from ${commands.map(({ name }) => name).join(' ')}`]
      : []
  const condition = [...isHere, ...isNotBelow].join('; and ')
  const line = (...parts: string[]) =>
    ['complete', '-c', root.name, ...(condition ? ['-n', quote(condition)] : []), ...parts].join(' ')
  return [
    ...commands.map(({ name, description }) => line('-f', '-a', name, '-d', quote(description))),
    ...(words.length > 0 ? [line('-f', '-a', quote(words.join(' ')))] : []),
    ...options.map(({ names: flags, description, takesValue, choices }) =>
      line(
        ...flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)),
        ...(takesValue ? ['-r'] : []),
        ...(choices.length > 0 ? ['-f', '-a', quote(choices.join(' '))] : []),
        ...['-d', quote(description)],
      ),
    ),
  ]
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
