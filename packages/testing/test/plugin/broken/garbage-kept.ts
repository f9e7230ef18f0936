import { variant } from '../good.ts'

export default variant((good) => ({
  collectGarbage: async (_valid, signal) => good.collectGarbage?.([], signal),
}))
