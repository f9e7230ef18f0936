import { type GlobalFlags, parsePodName } from '../flags.ts'
import { withHost } from '../with-host.ts'

/** `podwire down` */
export async function down(pod: string, flags: GlobalFlags): Promise<void> {
  const name = parsePodName(pod)
  await withHost(flags, (host) => host.tearDownPod(name))
}
