import { variant } from '../good.ts'

export default variant(() => ({
  async setUpPod() {
    throw new Error('no more pods today')
  },
}))
