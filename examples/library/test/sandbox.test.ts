import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'

const example = new URL('..', import.meta.url).pathname
const [, commands = ''] = /```sh\n(.*?)```/s.exec(readFileSync(`${example}README.md`, 'utf8')) ?? []

describe.skipIf(!isIsolated())('the library example, by the commands of its README', () => {
  test('gives a sandbox an address and shows it from inside', () => {
    const output = execFileSync('sh', ['-ec', commands], { cwd: example, encoding: 'utf8' })
    expect(output).toMatch(/job-1 has 10\.88\.0\.\d+/)
    expect(output).toMatch(/eth0@\S+ +UP +10\.88\.0\.\d+\/24/)
  }, 60_000)
})
