import { variant } from '../good.ts'

export default variant((good) => ({
  async setUpPod(pod, signal) {
    const status = await good.setUpPod(pod, new AbortController().signal)
    signal.throwIfAborted()
    return status
  },
}))
