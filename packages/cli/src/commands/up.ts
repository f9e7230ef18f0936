import { podKey } from '@podwire/api'
import { type GlobalFlags, type PodFlags, parsePodName, podOfFlags } from '../flags.ts'
import { podJson } from '../pod-json.ts'
import { abortOnSignals } from '../signals.ts'
import { withHost } from '../with-host.ts'

/** `podwire up` */
export async function up(
  pod: string,
  flags: GlobalFlags,
  podFlags: PodFlags & { json?: boolean },
): Promise<void> {
  const request = { ...parsePodName(pod), ...podOfFlags(podFlags) }
  const record = await withHost(flags, (host) => abortOnSignals((signal) => host.setUpPod(request, signal)))
  if (podFlags.json) console.log(JSON.stringify(podJson(record)))
  else
    console.log(
      `${podKey(record.pod)}  ${record.status?.ips?.join(', ') ?? record.status?.ip ?? 'no address'}  ${record.netns}`,
    )
}
