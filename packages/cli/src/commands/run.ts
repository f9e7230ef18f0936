import { randomBytes } from 'node:crypto'
import { type GlobalFlags, type PodFlags, parsePodName, podOfFlags } from '../flags.ts'
import { runCommand } from '../run-command.ts'
import { abortOnSignals } from '../signals.ts'
import { withHost } from '../with-host.ts'

/** `podwire run`: up, the command, and down whatever happens; the exit code is the command's. */
export async function runInSandbox(
  command: string[],
  flags: GlobalFlags,
  { name, ...podFlags }: PodFlags & { name?: string },
): Promise<number> {
  const pod = parsePodName(name ?? `default/run-${randomBytes(4).toString('hex')}`)
  return withHost(flags, async (host) => {
    // Should this process be killed, the next one takes the pod down.
    const request = { ...pod, ...podOfFlags(podFlags), ownerPid: process.pid }
    const record = await abortOnSignals((signal) => host.setUpPod(request, signal))
    try {
      return await runCommand(command, record.netns)
    } finally {
      await host.tearDownPod(pod)
    }
  })
}
