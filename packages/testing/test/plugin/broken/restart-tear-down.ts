import { variant } from '../good.ts'

// Knows its pods only for as long as the process lives.
const mine = new Set<string>()

export default variant((good) => ({
  setUpPod: (pod, signal) => good.setUpPod(pod, signal).finally(() => mine.add(pod.sandboxId)),
  async tearDownPod(pod, signal) {
    if (mine.has(pod.sandboxId)) await good.tearDownPod(pod, signal)
  },
}))
