import type { PodRef } from '@podwire/api'
import type { CorruptEntry } from '@podwire/libcni'
import type { Attachments } from './attachments.ts'
import type { ConfiguredNetworks } from './configured-networks.ts'
import { lastFirst } from './converge.ts'
import { severalFailed, unreadableAttachment } from './errors.ts'

/**
 * Takes every attachment of the sandbox away, last first, by what is remembered of each: today's configuration may be
 * another, or gone. One that fails doesn't keep the others; it stays remembered for the next try.
 */
export async function tearDown(
  attachments: Attachments,
  networks: ConfiguredNetworks,
  { sandboxId }: PodRef,
  signal: AbortSignal,
): Promise<void> {
  const errors: Error[] = []
  const attempt = async (work: Promise<void>) => {
    await work.catch((error: unknown) =>
      errors.push(error instanceof Error ? error : new Error(String(error))),
    )
  }
  const remembered = await attachments.remembered(sandboxId)
  for (const entry of remembered.corrupt) {
    await attempt(detachUnreadable(attachments, networks, sandboxId, entry, signal))
  }
  for (const attachment of lastFirst(remembered.attachments)) {
    await attempt(attachments.detach(attachment, signal))
  }
  const [first, ...more] = errors
  if (first) throw more.length === 0 ? first : severalFailed({ what: 'tear-down failed', errors })
}

// What it was made with can't be read. The network of that name, as it is today, is the next best.
async function detachUnreadable(
  attachments: Attachments,
  networks: ConfiguredNetworks,
  sandboxId: string,
  { file, path }: CorruptEntry,
  signal: AbortSignal,
): Promise<void> {
  const [name = '', ifName = ''] = file.split(`-${sandboxId}-`)
  const config = networks.named(name)
  if (!config) throw unreadableAttachment({ file: path, network: name })
  await attachments.detach({ network: name, containerId: sandboxId, ifName, config }, signal)
}
