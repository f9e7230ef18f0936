import { variant } from '../good.ts'

export default variant((good) => {
  const known = new Set<string>()
  return {
    async setUpPod(pod, signal) {
      if (known.has(pod.sandboxId)) throw new Error(`pod ${pod.name} is set up already`)
      known.add(pod.sandboxId)
      return good.setUpPod(pod, signal)
    },
  }
})
