import { variant } from '../good.ts'

// Knows its pods only for as long as the process lives.
const mine = new Set<string>()

export default variant((good) => ({
  async setUpPod(pod, signal) {
    const isThere = await good.getPodNetworkStatus(pod, signal)
    if (isThere && !mine.has(pod.sandboxId)) throw new Error(`the link of pod ${pod.name} exists`)
    mine.add(pod.sandboxId)
    return good.setUpPod(pod, signal)
  },
}))
