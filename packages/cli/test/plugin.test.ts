import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { project, withPlugin } from './podwire.ts'

const odd = 'node_modules/podwire-plugin-odd'

describe.runIf(isIsolated())('podwire plugin test', { timeout: 300_000 }, () => {
  test('tells what a plugin breaks, for people and for programs, and exits with 1', () => {
    const { dir, podwire } = project(withPlugin('setUpPod: async () => ({ ip: "192.0.2.9/24" }),'))
    const shown = podwire('plugin', 'test', odd, '--rule', 'status-shape', '--badge', 'badge.svg')
    expect(shown).toMatchObject({ status: 1, stderr: '' })
    expect(shown.stdout).toMatch(/✗ status-shape\n {2}rule .*\n {2}because .*\n {2}done {5}probe\(\)/)
    expect(shown.stdout).toMatch(/seen .*"192.0.2.9\/24", which is not an IP address/)
    expect(readFileSync(join(dir, 'badge.svg'), 'utf8')).toContain('1 of 1 rules broken')
    const { status, stdout } = podwire('plugin', 'test', odd, '--rule', 'status-shape', '--json')
    expect(status).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ packageName: 'podwire-plugin-odd', failed: 1 })
  })

  test('loads the package as a host does, and passes it on with 0', () => {
    const { podwire } = project(withPlugin(''))
    expect(podwire('plugin', 'test', odd, '--rule', 'import', '--rule', 'init').status).toBe(0)
    const files = withPlugin('')
    const name = 'podwire-plugin-other'
    const manifest = { name, type: 'module', exports: './index.js', podwire: { apiVersion: 7 } }
    const refused = project({ ...files, [`${odd}/package.json`]: manifest }).podwire(
      'plugin',
      'test',
      odd,
      '--rule',
      'import',
    )
    expect(refused.status).toBe(1)
    expect(refused.stdout).toContain('its apiVersion is 7, and this host knows 1')
  })
})

test.each([
  [['plugin', 'test', './nowhere'], /No plugin package/],
  [['plugin', 'test', odd, '--options', '{'], /--options: .* expected JSON/],
  [['plugin', 'test', odd, '--rule', 'none'], /There is no rule "none"/],
])('%j is used wrongly, and exits with 2', (args, message) => {
  const { status, stderr } = project(withPlugin('')).podwire(...args)
  expect(stderr).toMatch(message)
  expect(status).toBe(2)
})
