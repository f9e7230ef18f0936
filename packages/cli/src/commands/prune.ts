import { podKey } from '@podwire/api'
import { command, type DefineCommand } from '../command.ts'
import { errors } from '../errors.ts'
import type { GlobalFlags, JsonFlag } from '../flags.ts'
import { withHost } from '../host.ts'
import { print, printJson, printNote } from '../output.ts'
import { interrupted } from '../signals.ts'

type Flags = GlobalFlags & JsonFlag & { all?: boolean; attachments?: boolean }

const define: DefineCommand = (does) =>
  command(
    'prune',
    'tear down pods that are stuck, or whose owner is gone',
    'podwire prune',
    'podwire prune --all',
  )
    .option(
      '--all',
      'every pod of its own, and what the plugin made for all of them: bridge, addresses, tables',
    )
    .option('--attachments', 'with --all: those too that container runtimes attached')
    .option('--json', 'print JSON')
    .action(does(prune))
export default define

/** Exits with 1 when one of them is still there. */
async function prune({ all = false, attachments = false, json = false, ...flags }: Flags): Promise<number> {
  if (attachments && !all)
    throw errors.FLAG_WITHOUT_USE({ flag: '--attachments', of: '--all', is: 'podwire prune alone' })
  const pruned = await withHost(
    flags,
    async (host, { problem }) => {
      const results = await host.prune({ all, attachments, signal: interrupted })
      const isEmpty = results.every(({ failed, kept }) => failed === undefined && kept === undefined)
      // Without a configuration that can be used nobody knows whose the rest is.
      if (all && isEmpty && !problem) await host.event('reset', {})
      return results
    },
    { lenient: true, recover: false, alone: all },
  )
  if (json) printJson(pruned)
  else if (pruned.length === 0) print('nothing to prune')
  for (const { pod, why, failed, kept } of json ? [] : pruned) {
    if (kept !== undefined)
      printNote(
        `${podKey(pod)}: left alone, as ${kept}; to tear it down too: podwire prune --all --attachments`,
      )
    else if (failed === undefined) print(`${podKey(pod)}: torn down: ${why}`)
    else printNote(`${podKey(pod)}: not torn down, though ${why}: ${failed}`)
  }
  return pruned.some(({ failed }) => failed !== undefined) ? 1 : 0
}
