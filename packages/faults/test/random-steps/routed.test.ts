import { isIsolated } from '@podwire/testing'
import { describe, test } from 'vitest'
import { takeThousandSteps } from './thousand-steps.ts'

describe.skipIf(!isIsolated())('whatever happens to hosts and to what they made', () => {
  test(
    'a thousand random steps that begin with routed pods leave every pod as it was acknowledged, and nothing of nobody',
    { timeout: 900_000 },
    () => takeThousandSteps('routed'),
  )
})
