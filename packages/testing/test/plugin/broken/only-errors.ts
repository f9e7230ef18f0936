import { variant } from '../good.ts'

export default variant(() => ({
  async setUpPod() {
    throw 'no more pods today'
  },
}))
