import { variant } from '../good.ts'

export default variant((good) => ({
  async setUpPod(pod, signal) {
    const status = await good.setUpPod(pod, signal)
    return { ip: `${status?.ip}/24` }
  },
}))
