import type { PortMapping } from '@podwire/api'
import { variant } from '../good.ts'

// Adds ports and never takes one away.
export default variant((good) => {
  const known = new Map<string, readonly PortMapping[]>()
  return {
    setUpPod({ portMappings, ...pod }, signal) {
      const ports = portMappings.length > 0 ? portMappings : (known.get(pod.sandboxId) ?? [])
      known.set(pod.sandboxId, ports)
      return good.setUpPod({ ...pod, portMappings: ports }, signal)
    },
  }
})
