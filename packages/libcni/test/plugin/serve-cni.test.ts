import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CniPlugin, pluginError, serveCni } from '@podwire/libcni/plugin'
import { describe, expect, it } from 'vitest'

const env = { CNI_CONTAINERID: 'c1', CNI_NETNS: '/nowhere/ns', CNI_IFNAME: 'eth0', CNI_PATH: '/nowhere' }
const plugin: CniPlugin = {
  about: 'CNI plugin served v1',
  add: ({ containerId }) => ({ ips: [{ address: '10.0.0.1/8' }], dns: { domain: containerId } }),
  del: () => {},
}
const stdin = (fields: object = {}) => JSON.stringify({ name: 'net1', cniVersion: '1.0.0', ...fields })

describe('a call that is served without a process of its own', () => {
  it('is answered from what it was given, and not from the environment of the process', async () => {
    const answer = await serveCni(plugin, { env: { ...env, CNI_COMMAND: 'ADD' }, stdin })
    expect(answer.exitCode).toBe(0)
    expect(JSON.parse(answer.stdout)).toEqual({
      cniVersion: '1.0.0',
      ips: [{ address: '10.0.0.1/8' }],
      dns: { domain: 'c1' },
    })
    expect(await serveCni(plugin, { env: { ...env, CNI_COMMAND: 'DEL' }, stdin })).toEqual({
      stdout: '',
      exitCode: 0,
    })
  })

  it('is an error without a command, as nobody stands before it who could read what the plugin is', async () => {
    const answer = await serveCni(plugin, { env: {}, stdin })
    expect(answer.exitCode).toBe(1)
    expect(JSON.parse(answer.stdout)).toMatchObject({ code: 4, msg: expect.stringContaining('CNI_COMMAND') })
  })

  it.each([
    ['of its own code', pluginError(6, 'too long'), { code: 6, msg: 'too long' }],
    ['of any other kind', new Error('gone'), { code: 5, msg: 'error reading from stdin: gone' }],
  ])('tells of a stdin that can not be had, %s', async (_, error, expected) => {
    const failing = () => {
      throw error
    }
    const answer = await serveCni(plugin, { env: { ...env, CNI_COMMAND: 'ADD' }, stdin: failing })
    expect(JSON.parse(answer.stdout)).toMatchObject({ cniVersion: '1.1.0', ...expected })
  })

  it('hands its own environment to a plugin that it runs', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'podwire-serve-'))
    const seen = join(directory, 'seen')
    writeFileSync(
      join(directory, 'spy'),
      `#!/bin/sh\necho "$CNI_COMMAND $CNI_CONTAINERID $SECRET" > ${seen}\n`,
      {
        mode: 0o755,
      },
    )
    const delegating: CniPlugin = { ...plugin, del: ({ delegate }) => delegate.del('spy') }
    process.env['SECRET'] = 'of the process'
    try {
      const given = { ...env, CNI_COMMAND: 'DEL', CNI_PATH: directory, PATH: process.env.PATH }
      expect(await serveCni(delegating, { env: given, stdin })).toMatchObject({ exitCode: 0 })
      expect(readFileSync(seen, 'utf8')).toBe('DEL c1 \n')
    } finally {
      delete process.env['SECRET']
      rmSync(directory, { recursive: true })
    }
  })
})
