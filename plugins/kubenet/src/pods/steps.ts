import { isPodwireError, type PodRef, podKey } from '@podwire/api'
import { errors } from '../errors.ts'

/** Runs the steps of an operation on a pod: none after the deadline, and an error says which one it was. */
export function stepsOf(pod: PodRef, signal: AbortSignal) {
  return async <T>(step: string, act: () => T | Promise<T>): Promise<T> => {
    signal.throwIfAborted()
    try {
      return await act()
    } catch (error) {
      if (isPodwireError(error) || signal.aborted) throw error
      throw errors.SETUP_STEP_FAILED({ pod: podKey(pod), sandboxId: pod.sandboxId, step }, error)
    }
  }
}
