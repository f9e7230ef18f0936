import { variant } from '../good.ts'

export default variant((good) => ({
  async setUpPod(pod, signal) {
    try {
      return await good.setUpPod(pod, signal)
    } catch {
      throw new Error('something went wrong')
    }
  },
}))
