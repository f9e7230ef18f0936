import { openSync } from 'node:fs'
import { variant } from '../good.ts'

export default variant((good) => ({
  setUpPod(pod, signal) {
    openSync('/etc/hostname', 'r')
    return good.setUpPod(pod, signal)
  },
}))
