import { type Policy, podKey } from '@podwire/api'
import type { SandboxRecord } from '@podwire/core'
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
    async (host, { before }) => {
      // Up again mends what is not right by now.
      host.events.on('pod:repaired', ({ why }) => printNote(`${pod}: repaired: ${why}`))
      const kept =
        asked.policy || flags.policy === false
          ? undefined
          : policyOf((await host.pod(asked)) ?? withoutOwner(before))
      if (kept && !flags.json) printNote(`${pod}: keeps the policy that it has; to drop it: --no-policy`)
      return host.setUpPod({ ...asked, ...(kept ? { policy: kept } : {}) }, { signal: interrupted })
    },
    { resident: false, pod: asked },
  )
  if (flags.json) printJson(podJson(record))
  else print(`${podKey(record.pod)}  ${addressesOf(record).join(', ') || 'no address'}  ${record.pod.netns}`)
}

/**
 * The policy of a pod that is up, or was until its network namespace went. Who only publishes a port, or mends a pod, must not open it
 * by that.
 */
function policyOf(record: SandboxRecord | undefined): Policy | undefined {
  if (record?.phase === 'ready') return record.pod.policy
  // A change that was cut off ends as it began, or else as it was to end.
  return record?.phase === 'changing' ? (record.previous?.policy ?? record.pod.policy) : undefined
}

/** One that was to end with a process has ended, and who has its name now is another. */
const withoutOwner = (record: SandboxRecord | undefined) => (record?.owner ? undefined : record)
