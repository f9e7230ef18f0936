import { variant } from '../good.ts'

export default variant(() => ({
  async status() {
    throw new Error('still starting')
  },
}))
