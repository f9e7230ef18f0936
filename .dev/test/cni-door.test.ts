import { expect, test } from 'vitest'
import { callContentType, callLimits, largestBody } from '../../packages/daemon/src/cni/call-body.ts'
import { CNI_DOOR } from '../../packages/shim/src/protocol.ts'

// Neither package has the other: the shim has no dependency, and a daemon needs none.
test('the daemon takes what the shim sends, up to the same limits', () => {
  expect(callContentType).toBe(CNI_DOOR.contentType)
  expect(callLimits).toEqual({ variables: CNI_DOOR.maxEnvironmentBytes, stdin: CNI_DOOR.maxStdinBytes })
  expect(largestBody).toBeGreaterThan(CNI_DOOR.maxEnvironmentBytes + 1 + CNI_DOOR.maxStdinBytes)
})
