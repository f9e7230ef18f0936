import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'

const root = new URL('../../..', import.meta.url).pathname

describe.skipIf(!isIsolated())('the demo', () => {
  test.each([[[]], [['--plugin', 'exec']]])(
    'lets one pod fetch a page from another and leaves nothing: %j',
    (args) => {
      expectToPass(args)
    },
    180_000,
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

test('without namespaces the life cycle runs with the no-op plugin, as the README says', () => {
  const example = new URL('..', import.meta.url).pathname
  const [, commands = ''] = /```sh\n(.*?)```/s.exec(readFileSync(`${example}README.md`, 'utf8')) ?? []
  const output = execFileSync('sh', ['-ec', commands], { cwd: example, encoding: 'utf8' })
  expect(output).toContain('tore down demo/web')
})
