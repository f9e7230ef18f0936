import { variant } from '../good.ts'

export default variant((good) => {
  const gone = new Set<string>()
  return {
    async tearDownPod(pod, signal) {
      if (gone.has(pod.sandboxId)) throw new Error(`pod ${pod.name} is gone already`)
      gone.add(pod.sandboxId)
      await good.tearDownPod(pod, signal)
    },
  }
})
