import { variant } from '../good.ts'

export default variant((good) => ({ tearDownPod: async (_pod, signal) => good.collectGarbage?.([], signal) }))
