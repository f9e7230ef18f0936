import { variant } from '../good.ts'

// Begins from nothing whenever it is told the pod CIDR.
export default variant((good) => ({
  event: async () => good.collectGarbage?.([], new AbortController().signal),
}))
