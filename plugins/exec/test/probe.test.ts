import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { Capability } from '@podwire/api'
import { expect, test } from 'vitest'
import exec from '../src/index.ts'
import { initOptions, useExecPlugins } from './exec-plugins.ts'

const plugins = useExecPlugins()

test('each directory is a plugin, its name with "/" for "~", in the order of their names', async () => {
  await plugins.write('vendor~name', 'exit 0')
  await plugins.write('plain', 'exit 0')
  await writeFile(plugins.file('plugins/a-file'), '')
  await symlink('plain', plugins.file('plugins/a-link'))
  expect((await plugins.probe()).map((plugin) => plugin.name)).toEqual(['plain', 'vendor/name'])
})

test('a directory that is missing offers nothing, and the log says so', async () => {
  expect(await plugins.probe({ directory: './missing' })).toEqual([])
  expect(plugins.log.messages('warn')).toEqual([expect.stringMatching(/ENOENT.*missing/)])
})

test('a plugin has the capabilities that the options give', async () => {
  await plugins.write('plain', 'exit 0')
  const [bare] = await plugins.probe()
  const [told] = await plugins.probe({ capabilities: ['portMappings', 'shaping'] })
  expect(bare?.capabilities()).toBe(0)
  expect(told?.capabilities()).toBe(Capability.portMappings | Capability.shaping)
})

test.each([
  [{ directory: 7 }, 'expected a directory'],
  [{ directory: '' }, 'expected a directory'],
  [{ capabilities: ['gc'] }, 'expected one of shaping, portMappings, dualStack, multiNetwork'],
  [{ capabilities: 'shaping' }, 'expected a list of shaping'],
  [{ dir: '/x' }, 'unknown key dir'],
  ['/x', 'expected an object'],
])('the options %j are refused: %s', async (options, message) => {
  const result = await exec.options?.['~standard'].validate(options)
  expect(result?.issues).toMatchObject([{ message: expect.stringContaining(message) }])
})

test('an executable without run permission fails at init, with the message of the kubelet', async () => {
  const executable = await plugins.write('acme.io~net', 'exit 0', 0o644)
  const [plugin] = await plugins.probe()
  await expect(plugin?.init(plugins.host, initOptions)).rejects.toMatchObject({
    code: 'EXEC_BAD_PERMISSIONS',
    message: expect.stringContaining(
      `Invalid exec plugin. Executable '${executable}' does not have correct permissions.`,
    ),
  })
  await expect(plugin?.status()).rejects.toMatchObject({ code: 'EXEC_NOT_INITIALISED' })
})

test('a directory without its executable fails at init', async () => {
  await mkdir(plugins.file('plugins/acme.io~net/net'), { recursive: true })
  const [plugin] = await plugins.probe()
  await expect(plugin?.init(plugins.host, initOptions)).rejects.toMatchObject({ code: 'EXEC_MISSING' })
})
