import { variant } from '../good.ts'

// Knows only the pods that it has set up itself.
export default variant((good) => {
  const mine = new Set<string>()
  return {
    setUpPod: (pod, signal) => good.setUpPod(pod, signal).finally(() => mine.add(pod.sandboxId)),
    async tearDownPod(pod, signal) {
      if (mine.has(pod.sandboxId)) await good.tearDownPod(pod, signal)
    },
  }
})
