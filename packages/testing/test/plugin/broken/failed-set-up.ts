import { sh, variant } from '../good.ts'

export default variant((good) => ({
  async setUpPod(pod, signal) {
    await sh(`ip route replace blackhole 198.51.100.0/24`)
    return good.setUpPod(pod, signal)
  },
  async tearDownPod(pod, signal) {
    await good.tearDownPod(pod, signal)
    await sh(`ip route del blackhole 198.51.100.0/24 2>/dev/null || true`)
  },
}))
