import type { PodRef } from '@podwire/api'
import type { CachedAttachment, CorruptEntry } from '@podwire/libcni'
import type { Attachments } from './attachments.ts'
import { lastFirst } from './converge.ts'
import { pastFailures } from './past-failures.ts'

/**
 * Undoes every attachment of the sandbox, last first, by what is remembered of each: today's configuration may be
 * another, or gone. One that fails doesn't stop the others; it stays remembered for the next try.
 */
export async function tearDown(
  { remembered, detach }: Attachments,
  { sandboxId }: PodRef,
  netns: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { attachments, corrupt } = await remembered(sandboxId)
  const unreadable = corrupt.map((entry) => namedBy(entry, sandboxId, netns))
  const { attempt, end } = pastFailures('tear-down failed')
  for (const attachment of lastFirst([...attachments, ...unreadable])) {
    await attempt(detach(attachment, signal))
  }
  end()
}

// All that an unreadable record tells is its name; the host may still know the namespace.
function namedBy({ file }: CorruptEntry, containerId: string, netns: string | undefined): CachedAttachment {
  const [network = '', ifName = ''] = file.split(`-${containerId}-`)
  return { network, containerId, ifName, ...(netns === undefined ? {} : { netns }) }
}
