import { deadlineExceeded } from '../errors.ts'

/** What a deadline may be given besides. */
export interface DeadlineOptions {
  /** Aborts the operation too. */
  readonly signal?: AbortSignal | undefined
  /** After the abort, how long the operation may take to undo what it did before it is left behind. Milliseconds. */
  readonly graceMs?: number
}

/**
 * Runs `operation` with a signal that aborts at the deadline, or when the caller's does.
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
  const timer = setTimeout(() => abort(deadlineExceeded({ what, ms })), ms)

  let grace: NodeJS.Timeout | undefined
  const abandoned = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      grace = setTimeout(() => reject(signal.reason), graceMs)
    })
  })
  try {
    signal.throwIfAborted()
    return await Promise.race([invoke(operation, signal), abandoned])
  } catch (error) {
    // After the signal, that it came is the news; how the operation then ended is the cause.
    if (!signal.aborted || error === signal.reason) throw error
    throw signal.reason === outer?.reason ? signal.reason : deadlineExceeded({ what, ms, cause: error })
  } finally {
    clearTimeout(timer)
    clearTimeout(grace)
    outer?.removeEventListener('abort', onOuterAbort)
  }
}

// A plugin may throw where it should reject.
async function invoke<T>(
  operation: (signal: AbortSignal) => T | Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  return operation(signal)
}
