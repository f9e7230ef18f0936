import { variant } from '../good.ts'

export default variant((good) => ({
  async tearDownPod(pod, signal) {
    if (!(await good.getPodNetworkStatus(pod, signal))) throw new Error(`there is no pod ${pod.name}`)
    await good.tearDownPod(pod, signal)
  },
}))
