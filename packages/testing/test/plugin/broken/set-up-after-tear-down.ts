import { variant } from '../good.ts'

export default variant((good) => {
  const gone = new Set<string>()
  return {
    async setUpPod(pod, signal) {
      if (gone.has(pod.sandboxId)) throw new Error(`pod ${pod.name} was torn down`)
      return good.setUpPod(pod, signal)
    },
    tearDownPod: (pod, signal) => good.tearDownPod(pod, signal).finally(() => gone.add(pod.sandboxId)),
  }
})
