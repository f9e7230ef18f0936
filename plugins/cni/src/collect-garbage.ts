import type { Host, Logger } from '@podwire/api'
import type { AttachmentId, CachedAttachment, CorruptEntry, NetworkConfigList } from '@podwire/libcni'
import type { Attachments } from './attachments.ts'
import type { ConfiguredNetworks } from './configured-networks.ts'
import { lastFirst } from './converge.ts'
import { loopback } from './loopback.ts'
import { pastFailures } from './past-failures.ts'

/**
 * Detaches every sandbox that is not in the list, then has the plugins of each network in use free what no attachment
 * holds. Goes on past errors, and throws them together.
 */
export async function collectGarbage(
  attachments: Attachments,
  networks: ConfiguredNetworks,
  validSandboxIds: readonly string[],
  { host, log, signal }: { host: Host; log: Logger; signal: AbortSignal },
): Promise<void> {
  const valid = new Set(validSandboxIds)
  const { attempt, end } = pastFailures('collecting garbage failed')
  const detach = async (stale: CachedAttachment) => {
    const { containerId: sandboxId, network, ifName } = stale
    await attachments.detach(stale, signal)
    log.info(`collected ${ifName} of network "${network}", left by sandbox ${sandboxId}`)
    host.report('garbage', { sandboxId, network, ifName })
  }

  const remembered = (await attachments.remembered()).attachments
  const inUse = networksInUse(
    networks,
    remembered.flatMap(({ config }) => config ?? []),
  )
  for (const stale of lastFirst(remembered.filter(({ containerId }) => !valid.has(containerId)))) {
    signal.throwIfAborted()
    await attempt(detach(stale))
  }
  const left = await attachments.remembered()
  for (const network of inUse) {
    const keep = [
      ...left.attachments.filter((attachment) => attachment.network === network.name),
      ...unreadableButValid(left.corrupt, network.name, validSandboxIds),
    ]
    signal.throwIfAborted()
    await attempt(attachments.cni(network).gc(network, keep, { signal }))
  }
  end()
}

// A record that can't be read must not cost a sandbox that lives its network.
function unreadableButValid(
  corrupt: readonly CorruptEntry[],
  network: string,
  validSandboxIds: readonly string[],
): AttachmentId[] {
  return validSandboxIds.flatMap((containerId) => {
    const prefix = `${network}-${containerId}-`
    return corrupt
      .filter(({ file }) => file.startsWith(prefix))
      .map(({ file }) => ({ containerId, ifName: file.slice(prefix.length) }))
  })
}

// A network that this host never used may be another's, whose attachments it must not collect.
function networksInUse(
  networks: ConfiguredNetworks,
  cached: readonly NetworkConfigList[],
): NetworkConfigList[] {
  const first = networks.first()
  const byName = new Map(cached.map((network) => [network.name, networks.named(network.name) ?? network]))
  if (first) byName.set(first.name, first)
  byName.delete(loopback.name)
  return [...byName.values()]
}
