import { setTimeout as sleep } from 'node:timers/promises'
import { variant } from '../good.ts'

// Looks, waits, and only then takes.
export default variant(() => {
  let taken = 1
  return {
    async setUpPod() {
      const next = taken + 1
      await sleep(50)
      taken = next
      return { ip: `10.213.0.${next}` }
    },
  }
})
