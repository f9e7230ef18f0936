import { Argument, type Command } from 'commander'
import { command, type DefineCommand } from '../command.ts'
import { printRaw } from '../output.ts'

const shells = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof shells)[number]

const define: DefineCommand = (does, wholeProgram) =>
  command(
    'completion',
    'print what makes a shell complete this command line',
    'eval "$(podwire completion bash)"',
    'podwire completion fish | source',
  )
    .addArgument(new Argument('<shell>').choices(shells))
    .action(does(async (shell: Shell) => completion(shell, await wholeProgram())))
export default define

async function completion(shell: Shell, program: Command): Promise<void> {
  const { completionsOf } = await import('../completions/tree.ts')
  printRaw(await scripts[shell](completionsOf(program)))
}

const scripts = {
  bash: async (tree) => (await import('../completions/bash.ts')).bashCompletion(tree),
  zsh: async (tree) => (await import('../completions/zsh.ts')).zshCompletion(tree),
  fish: async (tree) => (await import('../completions/fish.ts')).fishCompletion(tree),
} satisfies Record<Shell, (tree: import('../completions/tree.ts').Completions) => Promise<string>>
