/** A signal that aborts after a time, or with another one. */
export interface Deadline {
  readonly signal: AbortSignal
  /** Begins its time anew. Milliseconds. */
  extend(ms: number): void
  /** Lets go of its timer: what it was for is done. */
  end(): void
}

/**
 * A timer holds what it calls. `AbortSignal.any()` of `AbortSignal.timeout()` doesn't: on Node.js 20 the latter may be collected as garbage,
 * and what it was to end goes on for ever.
 */
export function startDeadline(ms: number, outer: AbortSignal): Deadline {
  const controller = new AbortController()
  const abort = () => controller.abort()
  let timer = setTimeout(abort, ms)
  outer.addEventListener('abort', abort)
  if (outer.aborted) abort()
  return {
    signal: controller.signal,
    extend(more) {
      clearTimeout(timer)
      timer = setTimeout(abort, more)
    },
    end() {
      clearTimeout(timer)
      outer.removeEventListener('abort', abort)
    },
  }
}
