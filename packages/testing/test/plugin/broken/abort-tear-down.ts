import { rm } from 'node:fs/promises'
import { variant } from '../good.ts'

// Forgets the pod before its link is gone.
export default variant((good, stateDir) => ({
  async tearDownPod(pod, signal) {
    if (signal.aborted) await rm(`${stateDir}/leases/${pod.sandboxId}`, { force: true })
    signal.throwIfAborted()
    await good.tearDownPod(pod, signal)
  },
}))
