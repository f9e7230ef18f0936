import { variant } from '../good.ts'

export default variant((good) => ({
  async getPodNetworkStatus(pod, signal) {
    const status = await good.getPodNetworkStatus(pod, signal)
    return status && { ip: '192.0.2.1' }
  },
}))
