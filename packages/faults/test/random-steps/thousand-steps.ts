import { expect } from 'vitest'
import type { FaultRun } from '../../src/run.ts'
import { runFaults } from '../../src/run.ts'

/** Always the same ones; `npm run test:faults` takes others. */
export async function takeThousandSteps(datapath: NonNullable<FaultRun['datapath']>): Promise<void> {
  const { steps, failure } = await runFaults({ seed: 1, datapath, steps: 1000 })
  // Said here too, as a race may let a second try pass.
  if (failure) console.error(failure)
  expect(failure).toBeUndefined()
  expect(steps).toBeGreaterThanOrEqual(1000)
}
