import { variant } from '../good.ts'

export default variant((good) => ({
  setUpPod(pod, signal) {
    console.log(`setting up ${pod.name}`)
    return good.setUpPod(pod, signal)
  },
}))
