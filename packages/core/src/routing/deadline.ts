import { deadlineExceeded } from '../errors.ts'

/** After the signal, how long an operation may take to undo what it did before the host stops waiting. Milliseconds. */
const graceMs = 5_000

/**
 * Runs `operation` with a signal that aborts at the deadline, or when `outer` does.
 * An operation that ignores its signal is left behind after a grace period.
 * @throws PodwireError `DEADLINE_EXCEEDED`, with what the operation then threw as its cause
 */
export async function withDeadline<T>(
  what: string,
  ms: number,
  operation: (signal: AbortSignal) => T | Promise<T>,
  outer?: AbortSignal,
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
