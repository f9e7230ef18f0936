import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { runFaults } from '../src/run.ts'

// Another one in each environment that sets it; the same everywhere else, so that a failure is there again.
const seed = Number(process.env.PODWIRE_FAULTS_SEED ?? 1)

describe.skipIf(!isIsolated())('whatever happens to hosts and to what they made', () => {
  // The same seed makes the same steps: to try again is to say nothing.
  const options = { timeout: 1_200_000, retry: 0 }
  test(
    'two thousand random steps leave every pod as it was acknowledged, and nothing of nobody',
    options,
    async () => {
      console.log(`faults: seed ${seed}`)
      const { failure } = await runFaults({ seed, steps: 2000 })
      expect(failure).toBeUndefined()
    },
  )
})
