import { errors } from './errors.ts'

/** What a deadline may be given besides. */
export interface DeadlineOptions {
  /** Aborts the operation too. */
  readonly signal?: AbortSignal | undefined
  /** After the abort, how long the operation may take to undo what it did before it is left behind. Milliseconds. */
  readonly graceMs?: number
}

/**
 * Runs `operation` with a signal that aborts at the deadline, or when the caller's does. A result that comes after the
 * deadline, as the operation blocked the event loop past it, counts as late too.
 * @throws PodwireError `DEADLINE_EXCEEDED`, with what the operation then threw as its cause
 */
export async function withDeadline<T>(
  what: string,
  ms: number,
  operation: (signal: AbortSignal) => T | Promise<T>,
  { signal: outer, graceMs = 0 }: DeadlineOptions = {},
): Promise<T> {
  const controller = new AbortController()
  const { signal } = controller
  const abort = (reason: unknown) => controller.abort(reason)
  const onOuterAbort = () => abort(outer?.reason)
  if (outer?.aborted) onOuterAbort()
  outer?.addEventListener('abort', onOuterAbort, { once: true })
  const started = performance.now()
  const timer = setTimeout(() => abort(errors.DEADLINE_EXCEEDED({ what, ms })), ms)

  let grace: NodeJS.Timeout | undefined
  const abandoned = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      grace = setTimeout(() => reject(signal.reason), graceMs)
    })
  })
  try {
    signal.throwIfAborted()
    const result = await Promise.race([invoke(operation, signal), abandoned])
    // The timer fires late on a loop that was blocked: the clock decides.
    if (!signal.aborted && performance.now() - started > ms + timerSlackMs) {
      throw errors.DEADLINE_EXCEEDED({ what, ms })
    }
    return result
  } catch (error) {
    // After the signal, that it came is the news; how the operation then ended is the cause.
    if (!signal.aborted || error === signal.reason) throw error
    throw signal.reason === outer?.reason ? signal.reason : errors.DEADLINE_EXCEEDED({ what, ms }, error)
  } finally {
    clearTimeout(timer)
    clearTimeout(grace)
    outer?.removeEventListener('abort', onOuterAbort)
  }
}

// What a timer may be late by on a busy machine, when the operation itself was in time.
const timerSlackMs = 20

// A plugin may throw where it should reject.
async function invoke<T>(
  operation: (signal: AbortSignal) => T | Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  return operation(signal)
}
