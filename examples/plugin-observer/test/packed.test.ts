import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PackedProject, packedProject } from '../../../.dev/packed-project.ts'

const config = {
  networkPlugin: 'example.com/observer',
  podCIDR: '10.88.0.0/16',
  stateDir: './state',
  plugins: { 'example.com/observer': { package: '@example/podwire-plugin-ptp' } },
}

describe.skipIf(!isIsolated())('example.com/observer around example/ptp, both from their tarballs', () => {
  let project: PackedProject
  beforeAll(() => {
    project = packedProject(config)
  }, 1_200_000)
  afterAll(() => project?.remove())

  test("gives pods the other's network and capabilities, and writes each call down", () => {
    const { stdout } = project.podwire('up', 'default/web', '--json')
    expect(JSON.parse(stdout).status.ips).toEqual(['10.88.0.1'])
    const status = project.podwire('status', '--json')
    expect(JSON.parse(status.stdout).plugin).toMatchObject({ capabilities: ['dualStack', 'check', 'gc'] })
    project.podwire('exec', 'default/web', '--', 'ip', 'link', 'delete', 'eth0')
    expect(project.podwire('check', 'default/web').status).toBe(1)
    expect(project.podwire('down', 'default/web').status).toBe(0)

    const file = join(project.dir, 'state/plugins/example.com~observer/calls.jsonl')
    const calls = readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    const pod = 'default/web'
    expect(calls).toContainEqual(expect.objectContaining({ call: 'setUpPod', pod, ms: expect.any(Number) }))
    expect(calls).toContainEqual(
      expect.objectContaining({ call: 'checkPod', pod, failed: expect.stringContaining('no link') }),
    )
    expect(calls.at(-1)).toMatchObject({ call: expect.stringMatching(/tearDownPod|close/) })
  }, 60_000)
})
