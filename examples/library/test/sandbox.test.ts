import { execFileSync } from 'node:child_process'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'

const root = new URL('../../..', import.meta.url).pathname

describe.skipIf(!isIsolated())('the library example', () => {
  test('gives a sandbox an address and shows it from inside', () => {
    const config = `${root}examples/exec-bridge/podwire.config.json`
    const args = ['--import', `${root}.dev/run-source.mjs`, `${root}examples/library/sandbox.ts`, config]
    const output = execFileSync(process.execPath, args, { encoding: 'utf8' })
    expect(output).toMatch(/job-1 has 10\.88\.0\.\d+/)
    expect(output).toMatch(/eth0@\S+ +UP +10\.88\.0\.\d+\/24/)
  })
})
