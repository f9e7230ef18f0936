import { execFileSync, spawnSync } from 'node:child_process'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'

const root = new URL('../../..', import.meta.url).pathname

describe.skipIf(!isIsolated())('the demo', () => {
  test.each([[[]], [['--plugin', 'exec']]])(
    'lets one pod fetch a page from another and leaves nothing: %j',
    (args) => {
      expectToPass(args)
    },
  )
})

function expectToPass(args: string[]) {
  const output = execFileSync(process.execPath, [`${root}examples/two-pods/demo.mjs`, ...args], {
    encoding: 'utf8',
  })
  expect(output).toContain('Hello from the pod')
  expect(output).toContain('Nothing is left')
}

test('an unknown plugin is refused, with those that there are', () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [`${root}examples/two-pods/demo.mjs`, '--plugin', 'none'],
    {
      encoding: 'utf8',
    },
  )
  expect(status).toBe(2)
  expect(stderr).toContain('exec')
})

test('without namespaces the life cycle runs with the no-op plugin', () => {
  const args = ['--import', `${root}.dev/run-source.mjs`, `${root}examples/two-pods/no-op.ts`]
  expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toContain('took demo/web down')
})
