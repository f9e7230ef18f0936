import { variant } from '../good.ts'

export default variant(() => ({
  async setUpPod() {
    process.exit(0)
  },
}))
