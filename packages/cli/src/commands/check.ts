import { podKey } from '@podwire/api'
import { command, type DefineCommand } from '../command.ts'
import { type GlobalFlags, parsePodName } from '../flags.ts'
import { withHost } from '../host.ts'
import { print } from '../output.ts'
import { interrupted } from '../signals.ts'

const define: DefineCommand = (does) =>
  command(
    'check',
    "say whether a pod's network is still as it was set up",
    'podwire check default/web || podwire repair',
  )
    .argument('<pod>', 'NAMESPACE/NAME')
    .action(does(check))
export default define

async function check(pod: string, flags: GlobalFlags): Promise<void> {
  const name = parsePodName(pod)
  await withHost(flags, (host) => host.checkPod(name, { signal: interrupted }), {
    lenient: true,
    recover: false,
  })
  print(`${podKey(name)}: ok`)
}
