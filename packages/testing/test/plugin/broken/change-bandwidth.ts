import { variant } from '../good.ts'

export default variant((good) => ({
  setUpPod: ({ bandwidth: _, ...pod }, signal) => good.setUpPod(pod, signal),
}))
