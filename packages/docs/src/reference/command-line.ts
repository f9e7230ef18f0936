import type { Command, Option } from 'commander'
// The site is made from the sources, and so may look into them: users have no need of the tree of commands.
import { buildProgram } from '../../../cli/src/program.ts'
import { cell, code, codeCell, fence, type Page, paragraphs, plain, table } from '../markdown.ts'

/** The commands, as the command line itself defines them. */
export async function commandsOf(): Promise<{
  readonly program: Command
  readonly commands: readonly Command[]
}> {
  const program = await buildProgram(() => async () => {})
  return { program, commands: program.commands.filter((one) => one.name() !== 'help') }
}

/** A page for each command, and one that lists them. */
export async function commandPages(): Promise<Page[]> {
  const { program, commands } = await commandsOf()
  return [listOf(program, commands), ...commands.map(pageOf)]
}

/** The path of a command's page. */
export function commandPath(one: Command): string {
  return `reference/commands/${one.name()}`
}

function listOf(program: Command, commands: readonly Command[]): Page {
  return {
    path: 'reference/commands/index',
    text: paragraphs(
      '# Command line',
      plain(program.description()),
      table(
        ['command', 'does'],
        commands.map((one) => [
          `[${code(`podwire ${one.name()}`)}](${one.name()}.md)`,
          cell(one.description()),
        ]),
      ),
      '## Flags of every command',
      optionTable(program),
      EXIT_CODES,
    ),
  }
}

const EXIT_CODES = `## Exit codes

| code | means |
| --- | --- |
| 0 | done |
| 1 | it failed |
| 2 | it was used or configured wrongly |
| 124 | \`run --timeout\` ended the command |
| 126, 127 | \`run\` and \`exec\`: the command can't be executed, or isn't there |
| 128 + N | the signal of number N ended the command, or interrupted podwire, which then undid what it had begun |

\`run\` and \`exec\` exit as the command did that they ran. With \`--json\` an error is printed to stdout as
\`{"errors": [{"code", "message", "details", "help"}]}\`; the code is [in the list of errors](../../errors/index.md).`

function pageOf(one: Command): Page {
  const parts = one.commands.filter((part) => part.name() !== 'help')
  // One that only holds others has no example.
  const isGroup = helpOf(one).examples.length === 0
  const body = [
    ...(isGroup ? [] : [bodyOf(one, '##')]),
    ...parts.map((part) => `## ${part.name()}\n\n${bodyOf(part, '###')}`),
  ]
  return {
    path: commandPath(one),
    text: paragraphs(
      `# podwire ${one.name()}`,
      isGroup ? capital(plain(one.description())) : undefined,
      ...body,
      'Besides, it takes the [flags of every command](index.md#flags-of-every-command).',
    ),
  }
}

function bodyOf(one: Command, heading: string): string {
  const { usage, examples } = helpOf(one)
  const options = optionTable(one)
  return paragraphs(
    capital(plain(one.description())),
    fence('text', usage),
    options && `${heading} Flags`,
    options,
    examples.length > 0 ? `${heading} Example` : undefined,
    examples.length > 0 ? fence('sh', examples.join('\n')) : undefined,
  ).trimEnd()
}

/** A command's own flags; of the program, those of all commands. */
function optionTable(one: Command): string {
  const global = new Set(one.parent ? rootOf(one).options.map(({ long }) => long) : [])
  const own = one.options.filter((option) => !option.hidden && !global.has(option.long))
  return table(
    ['flag', 'meaning'],
    own.map((option) => [codeCell(option.flags), cell(meaningOf(option))]),
  )
}

function meaningOf({ description, argChoices = [], defaultValue }: Option): string {
  const choices = argChoices.length > 0 ? `: ${argChoices.join(', ')}` : ''
  const fallback = defaultValue === undefined ? '' : ` (default: ${JSON.stringify(defaultValue)})`
  return description + choices + fallback
}

/** What only the printed help tells: how the command is called, and its examples. */
function helpOf(one: Command): { usage: string; examples: string[] } {
  let help = ''
  one.configureOutput({ writeOut: (text) => (help += text) })
  one.outputHelp()
  const [, examples = ''] = help.split('\nExample:\n')
  const [, usage = ''] = /^Usage: (.*)$/m.exec(help) ?? []
  return { usage, examples: [...examples.matchAll(/^ {2}\$ (.*)$/gm)].map(([, line = '']) => line) }
}

function rootOf(one: Command): Command {
  return one.parent ? rootOf(one.parent) : one
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}
