import { variant } from '../good.ts'

export default variant((good) => ({
  setUpPod(pod, signal) {
    Promise.reject(new Error('nobody waits for this'))
    return good.setUpPod(pod, signal)
  },
}))
