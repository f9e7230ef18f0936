import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { runFaults } from '../../src/run.ts'

describe.skipIf(!isIsolated())('whatever happens to hosts and to what they made', () => {
  // Always the same ones; `npm run test:faults` takes others.
  test('a thousand random steps that begin with bridge pods leave every pod as it was acknowledged, and nothing of nobody', {
    timeout: 900_000,
  }, async () => {
    const { steps, failure } = await runFaults({ seed: 1, datapath: 'bridge', steps: 1000 })
    // Said here too, as a race may let a second try pass.
    if (failure) console.error(failure)
    expect(failure).toBeUndefined()
    expect(steps).toBeGreaterThanOrEqual(1000)
  })
})
