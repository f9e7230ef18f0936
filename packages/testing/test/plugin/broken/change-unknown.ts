import { linkOf, sh, variant } from '../good.ts'

// Takes whatever annotation there is for its own.
export default variant((good) => ({
  async setUpPod(pod, signal) {
    const status = await good.setUpPod(pod, signal)
    const isAnnotated = Object.keys(pod.annotations).length > 0
    await sh(`ip link set ${linkOf(pod)} mtu ${isAnnotated ? 1400 : 1500}`)
    return status
  },
}))
