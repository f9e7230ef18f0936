import type { PodNetworkStatus } from '@podwire/api'
import { variant } from '../good.ts'

export default variant((good) => {
  const known = new Map<string, PodNetworkStatus | void>()
  return {
    async setUpPod(pod, signal) {
      const status = await good.setUpPod(pod, signal)
      known.set(pod.sandboxId, status)
      return status
    },
    getPodNetworkStatus: async ({ sandboxId }) => known.get(sandboxId) ?? undefined,
  }
})
