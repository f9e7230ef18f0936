import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { command, type Does } from '../../command.ts'
import type { GlobalFlags } from '../../flags.ts'

type Flags = GlobalFlags & { entry?: string; once?: boolean; child?: boolean }

export function devCommand(does: Does): Command {
  return command(
    'dev',
    'set a pod up with a plugin from its source, in namespaces of their own, anew at each save',
    'podwire plugin dev .',
  )
    .argument('<dir>', "the package's directory")
    .option('--entry <file>', "its source (default: src/index.ts or .js, else the package's entry point)")
    .option('--once', 'do it once; exits with 1 when it fails')
    .addOption(new Option('--child').hideHelp())
    .action(does(dev))
}

async function dev(given: string, { entry, once = false, child = false, ...flags }: Flags): Promise<number> {
  const dir = resolve(given)
  // This command starts itself: the process that runs the plugin is one of its own each time.
  if (child) return (await import('../../dev/plugin-process.ts')).runPluginOnce(dir, entry, flags)
  return (await import('../../dev/reload.ts')).reloadOnChange(dir, { once })
}
