import { variant } from '../good.ts'

// Waits for something that its signal can't reach.
export default variant((good) => ({
  async setUpPod(pod, signal) {
    const status = await good.setUpPod(pod, new AbortController().signal)
    return signal.aborted ? new Promise(() => {}) : status
  },
}))
