import { rm } from 'node:fs/promises'
import { variant } from '../good.ts'

// Frees the address and keeps the link.
export default variant((_good, stateDir) => ({
  tearDownPod: ({ sandboxId }) => rm(`${stateDir}/leases/${sandboxId}`, { force: true }),
}))
