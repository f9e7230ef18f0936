import { variant } from '../good.ts'

export default variant((good) => {
  let isBusy = false
  return {
    async setUpPod(pod, signal) {
      if (isBusy) throw new Error('busy with tearing down')
      return good.setUpPod(pod, signal)
    },
    async tearDownPod(pod, signal) {
      isBusy = true
      await good.tearDownPod(pod, signal).finally(() => {
        isBusy = false
      })
    },
  }
})
