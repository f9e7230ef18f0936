import { variant } from '../good.ts'

export default variant(() => ({
  async checkPod() {
    throw new Error('not as it was')
  },
}))
