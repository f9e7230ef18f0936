import { Argument } from 'commander'
import { command, type DefineCommand } from '../command.ts'
import { printRaw } from '../output.ts'

const shells = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof shells)[number]

const define: DefineCommand = (does) =>
  command(
    'completion',
    'print what makes a shell complete this command line',
    'eval "$(podwire completion bash)"',
    'podwire completion fish | source',
  )
    .addArgument(new Argument('<shell>').choices(shells))
    .action(does(completion))
export default define

async function completion(shell: Shell): Promise<void> {
  const { buildProgram } = await import('../program.ts')
  const { completionsOf } = await import('../completions/tree.ts')
  // The tree alone matters: none of its commands is called.
  const tree = completionsOf(await buildProgram(() => async () => {}))
  printRaw(await scripts[shell](tree))
}

const scripts = {
  bash: async (tree) => (await import('../completions/bash.ts')).bashCompletion(tree),
  zsh: async (tree) => (await import('../completions/zsh.ts')).zshCompletion(tree),
  fish: async (tree) => (await import('../completions/fish.ts')).fishCompletion(tree),
} satisfies Record<Shell, (tree: import('../completions/tree.ts').Completions) => Promise<string>>
