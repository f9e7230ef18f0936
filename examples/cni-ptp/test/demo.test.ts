import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { isIsolated } from '@podwire/testing'
import { expect, test } from 'vitest'

const root = new URL('../../..', import.meta.url).pathname

test.skipIf(!isIsolated() || !existsSync('/usr/lib/cni/ptp'))(
  'two pods of CNI plugins talk to each other and leave nothing',
  () => {
    const args = [`${root}examples/two-pods/demo.mjs`, '--plugin', 'cni']
    const output = execFileSync(process.execPath, args, { encoding: 'utf8' })
    expect(output).toContain('Hello from the pod')
    expect(output).toContain('Nothing is left')
  },
  180_000,
)
