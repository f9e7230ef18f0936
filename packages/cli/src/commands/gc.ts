import { command, type DefineCommand } from '../command.ts'
import type { GlobalFlags } from '../flags.ts'
import { withHost } from '../host.ts'
import { interrupted } from '../signals.ts'

const define: DefineCommand = (does) =>
  command(
    'gc',
    'have the plugin free what belongs to no pod: addresses, links, rules. See what it frees with --verbose',
    'podwire gc --verbose',
  ).action(
    does((flags: GlobalFlags) =>
      withHost(flags, (host) => host.collectGarbage({ signal: interrupted }), { alone: true }),
    ),
  )
export default define
