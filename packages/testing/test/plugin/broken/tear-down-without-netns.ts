import { access } from 'node:fs/promises'
import { variant } from '../good.ts'

export default variant((good) => ({
  async tearDownPod(pod, signal) {
    await access(`/run/netns/${pod.sandboxId}`)
    await good.tearDownPod(pod, signal)
  },
}))
