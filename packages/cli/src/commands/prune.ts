import { podKey } from '@podwire/api'
import { command, type DefineCommand } from '../command.ts'
import type { GlobalFlags, JsonFlag } from '../flags.ts'
import { withHost } from '../host.ts'
import { print, printJson } from '../output.ts'
import { interrupted } from '../signals.ts'

type Flags = GlobalFlags & JsonFlag & { all?: boolean }

const define: DefineCommand = (does) =>
  command(
    'prune',
    'tear down pods that are stuck, or whose owner is gone',
    'podwire prune',
    'podwire prune --all',
  )
    .option(
      '--all',
      'every pod, and what the plugin keeps on the host besides, such as its bridge and tables',
    )
    .option('--json', 'print JSON')
    .action(does(prune))
export default define

async function prune({ all = false, json = false, ...flags }: Flags): Promise<void> {
  const pruned = await withHost(flags, (host) => host.prune({ all, signal: interrupted }), {
    lenient: true,
    recover: false,
  })
  if (json) printJson(pruned)
  else if (pruned.length === 0) print('nothing to prune')
  for (const { pod, why } of json ? [] : pruned) print(`${podKey(pod)}: torn down: ${why}`)
}
