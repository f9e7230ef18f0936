import { variant } from '../good.ts'

export default variant((good) => ({
  async init(host, options) {
    setInterval(() => {}, 1_000)
    await good.init(host, options)
  },
}))
