import type { PodRef } from '@podwire/api'
import { compareVersions } from '@podwire/libcni'
import type { Attachments } from './attachments.ts'
import { lastFirst } from './converge.ts'
import { errors } from './errors.ts'

/**
 * Has the plugins of each attachment check it, by the configuration that it was made with. A network too old for CHECK
 * is skipped.
 */
export async function checkPod(attachments: Attachments, pod: PodRef, signal: AbortSignal): Promise<void> {
  const { attachments: remembered, corrupt } = await attachments.remembered(pod.sandboxId)
  const [unreadable] = corrupt
  if (unreadable) throw unreadable.error
  if (remembered.length === 0) throw errors.CNI_NOT_SET_UP({ pod })
  for (const attachment of lastFirst(remembered).reverse()) {
    const { network, ifName, config, result } = attachment
    if (!result) throw errors.CNI_NOT_ATTACHED({ pod, network, ifName })
    if (!config || compareVersions(config.cniVersion, '0.4.0') < 0) continue
    await attachments.cni(config).check(config, attachment, { signal })
  }
}
