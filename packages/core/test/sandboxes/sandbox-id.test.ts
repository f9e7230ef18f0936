import { expect, test } from 'vitest'
import { defaultSandboxId, isSandboxId } from '../../src/sandboxes/sandbox-id.ts'

test('no two pods have one sandbox: not of 200,000, nor of names that differ at their ends or by a dash alone', () => {
  const long = 'a'.repeat(60)
  const pods = [
    ...Array.from({ length: 200_000 }, (_, number) => ({ namespace: 'default', name: `${long}${number}` })),
    { namespace: 'a-b', name: 'c' },
    { namespace: 'a', name: 'b-c' },
    { namespace: 'a', name: 'b' },
    { namespace: 'n'.repeat(63), name: 'x'.repeat(253) },
    { namespace: 'n'.repeat(63), name: `${'x'.repeat(252)}y` },
  ]
  const ids = new Set(pods.map(defaultSandboxId))
  expect(ids.size).toBe(pods.length)
  // 128 bits, which nobody tries out.
  for (const id of [...ids].slice(-5)) {
    expect(id).toMatch(/-[0-9a-f]{32}$/)
    expect(isSandboxId(id)).toBe(true)
  }
})
