import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { project, withPlugin } from './podwire.ts'

describe.skipIf(!isIsolated())('with a configuration that broke while pods were up', () => {
  test('status, ps, exec, down and prune work by the records, and say what is wrong with it', () => {
    const { podwire, dir } = project(withPlugin(''))
    for (const pod of ['default/a', 'default/b']) expect(podwire('up', pod).status).toBe(0)
    writeFileSync(join(dir, 'podwire.config.json'), '{ "networkPlugins": "odd" }')
    const flags = ['--state-dir', join(dir, 'state')]
    const wrong = expect.stringContaining('networkPlugins: unknown key')

    const status = podwire('status', '--json', ...flags)
    expect(status).toMatchObject({ status: 2, stderr: wrong })
    expect(JSON.parse(status.stdout)).toMatchObject({ ready: false, pods: [{ name: 'a' }, { name: 'b' }] })
    const ps = podwire('ps', ...flags)
    expect(ps).toMatchObject({ status: 0, stderr: wrong })
    expect(ps.stdout).toContain('default/a')
    expect(podwire('exec', ...flags, 'default/a', '--', 'echo', 'inside')).toMatchObject({
      status: 0,
      stdout: 'inside\n',
    })
    expect(podwire('down', 'default/a', ...flags)).toMatchObject({ status: 0, stderr: wrong })
    expect(podwire('prune', '--all', ...flags)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('default/b: torn down'),
    })
    expect(podwire('ps', ...flags).stdout).toBe('no pods\n')
    expect(podwire('ps')).toMatchObject({ status: 0, stderr: expect.stringContaining('--state-dir') })
    // A start needs the configuration.
    expect(podwire('up', 'default/c', ...flags)).toMatchObject({ status: 2, stderr: wrong })
  }, 240_000)

  test('down works when the plugin is no longer configured', () => {
    const { podwire, dir } = project(withPlugin(''))
    expect(podwire('up', 'default/web').status).toBe(0)
    writeFileSync(join(dir, 'podwire.config.json'), '{ "networkPlugin": "none.io/x", "stateDir": "./state" }')
    expect(podwire('status')).toMatchObject({ status: 1, stdout: expect.stringContaining('default/web') })
    expect(podwire('down', 'default/web')).toMatchObject({ status: 0, stderr: '' })
  }, 240_000)
})
