import { type Policy, podKey } from '@podwire/api'
import type { NetworkHost, PodName } from '@podwire/core'
import { command, type DefineCommand, withPodFlags } from '../command.ts'
import { type GlobalFlags, type JsonFlag, type PodFlags, parsePodName, podOfFlags } from '../flags.ts'
import { withHost } from '../host.ts'
import { print, printJson, printNote } from '../output.ts'
import { addressesOf, podJson } from '../pod.ts'
import { noPolicy } from '../policy-flags.ts'
import { interrupted } from '../signals.ts'

const define: DefineCommand = (does) =>
  withPodFlags(command('up', 'give a pod its network', 'podwire up default/web -p 8080:80'))
    .argument('<pod>', 'NAMESPACE/NAME')
    .addOption(noPolicy())
    .option('--json', 'print JSON')
    .action(does(up))
export default define

async function up(pod: string, flags: GlobalFlags & PodFlags & JsonFlag): Promise<void> {
  const asked = await podOfFlags(parsePodName(pod), flags)
  const record = await withHost(
    flags,
    async (host) => {
      // Up again mends what is not right by now.
      host.events.on('pod:repaired', ({ why }) => printNote(`${pod}: repaired: ${why}`))
      const kept = asked.policy || flags.policy === false ? undefined : await policyOf(host, asked)
      if (kept && !flags.json) printNote(`${pod}: keeps the policy that it has; to drop it: --no-policy`)
      return host.setUpPod({ ...asked, ...(kept ? { policy: kept } : {}) }, { signal: interrupted })
    },
    { resident: false },
  )
  if (flags.json) printJson(podJson(record))
  else print(`${podKey(record.pod)}  ${addressesOf(record).join(', ') || 'no address'}  ${record.pod.netns}`)
}

/** The policy of a pod that is up. Who only publishes a port, or mends a pod, must not open it by that. */
async function policyOf(host: NetworkHost, name: PodName): Promise<Policy | undefined> {
  const record = await host.pod(name)
  if (record?.phase === 'ready') return record.pod.policy
  // A change that was cut off ends as it began, or else as it was to end.
  return record?.phase === 'changing' ? (record.previous?.policy ?? record.pod.policy) : undefined
}
