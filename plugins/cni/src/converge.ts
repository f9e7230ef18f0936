import { type Logger, messageOf, printable } from '@podwire/api'
import type { AnyResult, CachedAttachment } from '@podwire/libcni'
import { declaredCapabilities } from './announced-capabilities.ts'
import type { Attachments } from './attachments.ts'
import { loopback } from './loopback.ts'
import { addressesOf } from './pod-status.ts'
import { isAsWanted, type WantedAttachment } from './wanted-attachments.ts'

/** An attachment that was made. */
export interface Attached extends WantedAttachment {
  readonly result: AnyResult
}

/** Undoing gets its own time: the host's may be over. Milliseconds. */
const undoMs = 30_000

/**
 * Brings a sandbox from the attachments it has to those it should have, in their order. What is right stays. An interface
 * in the way that none of its attachments made is refused before anything is done. A failure undoes what was done, last
 * first, and throws the first error.
 */
export async function converge(
  { attach, assertFree, detach, forget, isUp }: Attachments,
  existing: readonly CachedAttachment[],
  wanted: readonly WantedAttachment[],
  { log, signal }: { log: Logger; signal: AbortSignal },
): Promise<Attached[]> {
  const undos: (() => Promise<unknown>)[] = []

  const remove = async (cached: CachedAttachment) => {
    await detach(cached, signal)
    const { config } = cached
    if (!config || !cached.result) return
    const again = withSameAddresses({ network: config, attachment: cached }, cached)
    undos.push(() => attach(again, AbortSignal.timeout(undoMs)))
  }
  const bring = async (want: WantedAttachment): Promise<Attached> => {
    const { network, attachment } = want
    const result = await attach(want, signal).catch(async (error: unknown) => {
      // Where even this fails there is no namespace, and nothing to undo in it.
      if (isLoopback(want)) await forget(want, AbortSignal.timeout(undoMs))
      throw error
    })
    const cached = { ...attachment, network: network.name, config: network, result }
    undos.push(() => detach(cached, AbortSignal.timeout(undoMs)))
    return { ...want, result }
  }

  for (const want of wanted) {
    // An interface that one of them made goes with it, and lo is in every namespace.
    const isOurs = existing.some(({ ifName }) => ifName === want.attachment.ifName)
    if (!isOurs && !isLoopback(want)) await assertFree(want, signal)
  }
  try {
    for (const cached of unwanted(existing, wanted)) await remove(cached)
    const attached: Attached[] = []
    for (const want of wanted) {
      signal.throwIfAborted()
      const before = existing.find((cached) => isSame(cached, want))
      if (before?.result && isAsWanted(before, want)) {
        attached.push({ ...want, result: before.result })
        continue
      }
      // In a namespace that others made it mostly is up: then there is nothing to do, and later nothing to undo.
      if (!before && isLoopback(want) && (await isUp(want, signal))) continue
      if (before) await remove(before)
      attached.push(await bring(withSameAddresses(want, before)))
    }
    return attached
  } catch (error) {
    for (const undo of undos.reverse()) {
      await undo().catch((failure: unknown) =>
        log.warn(
          `undoing a failed set-up failed too; tear-down tries again: ${printable(messageOf(failure))}`,
        ),
      )
    }
    throw error
  }
}

/** Attachments in the reverse of the order they are made in. */
export function lastFirst(attachments: readonly CachedAttachment[]): CachedAttachment[] {
  const rank = ({ ifName }: CachedAttachment) => ['lo', 'eth0'].indexOf(ifName)
  const place = (attachment: CachedAttachment) => (rank(attachment) < 0 ? 2 : rank(attachment))
  return [...attachments].sort(
    (a, b) => place(b) - place(a) || b.ifName.localeCompare(a.ifName, 'en', { numeric: true }),
  )
}

function isLoopback({ network }: WantedAttachment): boolean {
  return network.name === loopback.name
}

function unwanted(existing: readonly CachedAttachment[], wanted: readonly WantedAttachment[]) {
  return lastFirst(existing.filter((cached) => !wanted.some((want) => isSame(cached, want))))
}

function isSame(cached: CachedAttachment, { network, attachment }: WantedAttachment): boolean {
  return cached.network === network.name && cached.ifName === attachment.ifName
}

// Other limits must not cost a pod its addresses, where the network can be asked for them.
function withSameAddresses(want: WantedAttachment, before: CachedAttachment | undefined): WantedAttachment {
  const { network, attachment } = want
  const ips = before?.result ? addressesOf(before.result) : []
  const canAsk = declaredCapabilities(network).has('ips') && attachment.capabilityArgs?.['ips'] === undefined
  if (ips.length === 0 || !canAsk) return want
  return { network, attachment: { ...attachment, capabilityArgs: { ...attachment.capabilityArgs, ips } } }
}
