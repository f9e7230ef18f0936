import { isPodwireError, type Logger, type PodRef, podKey } from '@podwire/api'
import { errors } from '../errors.ts'

/** Runs the steps of an operation on a pod and logs each: none after the deadline, and an error says which one it was. */
export function stepsOf(pod: PodRef, { log }: { readonly log: Logger }, signal: AbortSignal) {
  return async <T>(step: string, act: () => T | Promise<T>): Promise<T> => {
    signal.throwIfAborted()
    const started = performance.now()
    try {
      const result = await act()
      log.debug(`kubenet: ${podKey(pod)}: ${step}`, { durationMs: performance.now() - started })
      return result
    } catch (error) {
      if (isPodwireError(error) || signal.aborted) throw error
      throw errors.SETUP_STEP_FAILED({ pod: podKey(pod), sandboxId: pod.sandboxId, step }, error)
    }
  }
}
