import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { project, withPlugin } from './podwire.ts'

describe.skipIf(!isIsolated())('a plugin that', () => {
  test('calls process.exit fails with its name, and the pod is undone', () => {
    const { podwire, dir } = project(withPlugin('setUpPod: async () => process.exit(0),'))
    const { status, stderr } = podwire('up', 'default/web')
    expect(status).toBe(1)
    expect(stderr).toContain('network plugin "odd" (set up) called process.exit(0)')
    expect(readdirSync(join(dir, 'state/sandboxes'))).toEqual([])
    expect(readdirSync('/run/netns')).toEqual([])
  })

  test('calls process.exit while it is imported fails with its name', () => {
    const files = withPlugin('')
    const index = 'node_modules/podwire-plugin-odd/index.js'
    const { podwire } = project({ ...files, [index]: `process.exit(0)\n${files[index]}` })
    expect(podwire('up', 'default/web')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('"podwire-plugin-odd" (import) called process.exit(0)'),
    })
  })

  test('calls process.exit, or throws, where nobody can catch it, is heard all the same', () => {
    for (const late of ['process.exit(0)', "throw new Error('late')"]) {
      const { podwire, dir } = project(
        withPlugin(`setUpPod: (pod, signal) => new Promise((resolve, reject) => {
          setImmediate(() => { ${late} })
          signal.addEventListener('abort', () => reject(signal.reason))
        }),`),
      )
      const { status, stderr } = podwire('up', 'default/web')
      expect(status).toBe(1)
      expect(stderr).toContain('An error that nobody caught')
      expect(stderr).toContain(late.startsWith('throw') ? 'late' : 'network plugin "odd"')
      expect(readdirSync(join(dir, 'state/sandboxes'))).toEqual([])
    }
  })

  test('leaves timers running does not keep a command from ending', () => {
    const { podwire } = project(withPlugin('init: async () => { setInterval(() => {}, 1000) },'))
    expect(podwire('up', 'default/web').status).toBe(0)
    expect(podwire('down', 'default/web').status).toBe(0)
  })

  test('prints leaves stdout to the command', () => {
    const { podwire } = project(
      withPlugin(`setUpPod: async () => {
        console.log('from console'); process.stdout.write('from stdout'); return { ip: '192.0.2.9' }
      },`),
    )
    const { stdout, stderr } = podwire('up', 'default/web', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ ip: '192.0.2.9' })
    expect(stderr).toContain('from console')
    expect(stderr).toContain('from stdout')
    podwire('down', 'default/web')
  })

  test('puts control characters into what it says does not reach the terminal with them', () => {
    const { podwire } = project(
      withPlugin(
        `setUpPod: async () => { throw new Error('\\u001b]0;owned\\u0007 \\u009b2J \\u202e') },
         status: async () => { throw new Error('\\u001b[31mred') },`,
      ),
    )
    const up = podwire('up', 'default/web')
    expect(up.stderr).toContain('\\u001b]0;owned\\u0007 \\u009b2J \\u202e')
    const status = podwire('status', '--json')
    expect(JSON.parse(status.stdout).reason).toBe('\u001b[31mred')
    const unprintable = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202e]/
    for (const text of [up.stdout, up.stderr, status.stdout, status.stderr])
      expect(text).not.toMatch(unprintable)
  })

  test('fails to tear a pod down makes it stuck: status says why, --force lets go of it', () => {
    const { podwire, dir } = project(
      withPlugin("tearDownPod: async () => { throw new Error('the wire is gone') },"),
    )
    expect(podwire('up', 'default/web').status).toBe(0)
    expect(podwire('down', 'default/web')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('the wire is gone'),
    })
    const { stdout } = podwire('status')
    expect(stdout).toMatch(/default\/web \(tearing-down\): .*the wire is gone/)
    expect(stdout).toContain('podwire down --force default/web')
    expect(podwire('prune')).toMatchObject({ status: 1, stderr: expect.stringContaining('the wire is gone') })
    expect(podwire('down', '--force', 'default/web')).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('may be left: what the plugin made'),
    })
    expect(readdirSync('/run/netns')).toEqual([])
    expect(existsSync(join(dir, 'state/sandboxes')) && readdirSync(join(dir, 'state/sandboxes'))).toEqual([])
  })
})
