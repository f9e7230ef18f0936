import { podKey } from '@podwire/api'
import { command, type DefineCommand, withPodFlags } from '../command.ts'
import { type GlobalFlags, type JsonFlag, type PodFlags, parsePodName, podOfFlags } from '../flags.ts'
import { withHost } from '../host.ts'
import { print, printJson, printNote } from '../output.ts'
import { addressesOf, podJson } from '../pod.ts'
import { interrupted } from '../signals.ts'

const define: DefineCommand = (does) =>
  withPodFlags(command('up', 'give a pod its network', 'podwire up default/web -p 8080:80'))
    .argument('<pod>', 'NAMESPACE/NAME')
    .option('--json', 'print JSON')
    .action(does(up))
export default define

async function up(pod: string, flags: GlobalFlags & PodFlags & JsonFlag): Promise<void> {
  const request = await podOfFlags(parsePodName(pod), flags)
  const record = await withHost(
    flags,
    (host) => {
      // Up again mends what is not right by now.
      host.events.on('pod:repaired', ({ why }) => printNote(`${pod}: repaired: ${why}`))
      return host.setUpPod(request, { signal: interrupted })
    },
    { resident: false },
  )
  if (flags.json) printJson(podJson(record))
  else print(`${podKey(record.pod)}  ${addressesOf(record).join(', ') || 'no address'}  ${record.pod.netns}`)
}
