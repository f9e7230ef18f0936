import { spawn } from 'node:child_process'
import { variant } from '../good.ts'

export default variant((good) => ({
  setUpPod(pod, signal) {
    spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }).unref()
    return good.setUpPod(pod, signal)
  },
}))
