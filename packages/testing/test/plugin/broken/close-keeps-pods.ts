import { variant } from '../good.ts'

export default variant((good) => ({
  close: async () => good.collectGarbage?.([], new AbortController().signal),
}))
